package server

import "github.com/ingot-llm/ingot/engine/tokenizer"

// prompt is one tokenized prompt; text is what echo shows.
type prompt struct {
	text string
	ids  []int32
}

// prompts reads a Prompt field. special adds what the model expects around a text; ids
// are taken as they are.
func (s *Server) prompts(b *body, name string) ([]prompt, *Error) {
	raw := b.raw(name)
	if raw[0] == '"' {
		return s.encodeAll(name, []string{unquote(raw)})
	}
	items := scanElements(raw)
	switch {
	case items[0][0] == '"':
		return s.encodeAll(name, unquoteAll(raw))
	case items[0][0] == '[':
		out := make([]prompt, len(items))
		for i, item := range items {
			out[i].ids = parseIDs(item)
		}
		return out, s.checkPrompts(name, out)
	}
	out := []prompt{{ids: parseIDs(raw)}}
	return out, s.checkPrompts(name, out)
}

// encode reads text as plain text: what looks like a control token stays text.
func (s *Server) encode(text string, special bool) []int32 {
	return s.model.Tokenizer.Encode(nil, text, tokenizer.EncodeOptions{AddSpecial: special})
}

func (s *Server) encodeAll(name string, texts []string) ([]prompt, *Error) {
	out := make([]prompt, len(texts))
	for i, text := range texts {
		out[i] = prompt{text, s.encode(text, true)}
	}
	return out, s.checkPrompts(name, out)
}

// checkPrompts refuses ids that the model does not have and prompts without a token.
func (s *Server) checkPrompts(name string, prompts []prompt) *Error {
	for _, p := range prompts {
		if len(p.ids) == 0 {
			return invalid(name, "invalid_value", "%s must have at least one token", name)
		}
		if err := s.checkVocab(name, p.ids); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) checkVocab(name string, ids []int32) *Error {
	vocab := min(s.model.Info.Vocab, s.model.Tokenizer.Vocab())
	for _, id := range ids {
		if int(id) >= vocab {
			return invalid(name, "invalid_value", "%s has the token id %d, but the model has only %d tokens", name, id, vocab)
		}
	}
	return nil
}
