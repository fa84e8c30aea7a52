package server

import (
	"strconv"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/engine"
)

// tokenText shows a token's bytes: as text if they are whole runes, else as "bytes:\xe2",
// OpenAI's way to keep different tokens different.
func tokenText(piece []byte) string {
	if utf8.Valid(piece) {
		return string(piece)
	}
	out := []byte("bytes:")
	const hex = "0123456789abcdef"
	for _, c := range piece {
		out = append(out, '\\', 'x', hex[c>>4], hex[c&15])
	}
	return string(out)
}

// piece returns a token's bytes. The model's vocabulary may be padded beyond the
// tokenizer's; such a token has none.
func (s *Server) piece(id int32) []byte { return s.model.Tokenizer.Piece(id) }

// appendChatLogprobs writes the logprobs object of a chat choice.
func (s *Server) appendChatLogprobs(dst []byte, tokens []engine.Token, top int) []byte {
	dst = append(dst, `{"content":[`...)
	for i, t := range tokens {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = s.appendChatToken(dst, t.ID, t.Logprob)
		dst = append(dst, `,"top_logprobs":[`...)
		for k, alt := range t.Top[:min(top, len(t.Top))] {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = append(s.appendChatToken(dst, alt.ID, alt.Logprob), '}')
		}
		dst = append(dst, `]}`...)
	}
	return append(dst, `],"refusal":null}`...)
}

// appendChatToken writes {"token","logprob","bytes" and leaves the object open.
func (s *Server) appendChatToken(dst []byte, id int32, logprob float32) []byte {
	piece := s.piece(id)
	dst = append(dst, `{"token":`...)
	dst = appendString(dst, tokenText(piece))
	dst = append(dst, `,"logprob":`...)
	dst = appendFloat(dst, logprob)
	dst = append(dst, `,"bytes":[`...)
	for i, c := range piece {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(c), 10)
	}
	return append(dst, ']')
}

// appendTextLogprobs writes the logprobs object of a text choice. The first token of an
// echoed prompt has no predecessor, so its log-probability is null. offset is where the
// first token starts in the choice's text, in runes; where the next one would start is
// returned.
func (s *Server) appendTextLogprobs(dst []byte, tokens []engine.Token, top, offset int, fromStart bool) ([]byte, int) {
	list := func(name string, each func(i int, t *engine.Token)) {
		dst = append(append(append(dst, '"'), name...), `":[`...)
		for i := range tokens {
			if i > 0 {
				dst = append(dst, ',')
			}
			each(i, &tokens[i])
		}
		dst = append(dst, ']')
	}
	dst = append(dst, '{')
	list("tokens", func(_ int, t *engine.Token) { dst = appendString(dst, tokenText(s.piece(t.ID))) })
	dst = append(dst, ',')
	list("token_logprobs", func(i int, t *engine.Token) {
		if i == 0 && fromStart {
			dst = append(dst, `null`...)
			return
		}
		dst = appendFloat(dst, t.Logprob)
	})
	dst = append(dst, ',')
	list("top_logprobs", func(i int, t *engine.Token) {
		if i == 0 && fromStart {
			dst = append(dst, `null`...)
			return
		}
		dst = s.appendTop(dst, t, top)
	})
	dst = append(dst, ',')
	list("text_offset", func(_ int, t *engine.Token) {
		dst = strconv.AppendInt(dst, int64(offset), 10)
		offset += s.runes(t.ID)
	})
	return append(dst, '}'), offset
}

// appendTop writes the alternatives by their text, with the token itself among them. Of
// two tokens with one text the likelier stands.
func (s *Server) appendTop(dst []byte, t *engine.Token, top int) []byte {
	dst = append(dst, '{')
	var seen []string
	add := func(id int32, logprob float32) {
		text := tokenText(s.piece(id))
		for _, have := range seen {
			if have == text {
				return
			}
		}
		if len(seen) > 0 {
			dst = append(dst, ',')
		}
		seen = append(seen, text)
		dst = append(appendString(dst, text), ':')
		dst = appendFloat(dst, logprob)
	}
	for _, alt := range t.Top[:min(top, len(t.Top))] {
		add(alt.ID, alt.Logprob)
	}
	add(t.ID, t.Logprob)
	return append(dst, '}')
}

// runes counts the runes that begin in a token; control tokens give no text.
func (s *Server) runes(id int32) int {
	if s.model.Tokenizer.IsControl(id) {
		return 0
	}
	n := 0
	for _, c := range s.piece(id) {
		if utf8.RuneStart(c) {
			n++
		}
	}
	return n
}

func tokenIDs(tokens []engine.Token) []int32 {
	ids := make([]int32, len(tokens))
	for i := range tokens {
		ids[i] = tokens[i].ID
	}
	return ids
}

// appendUsage writes a usage object.
func appendUsage(dst []byte, u engine.Usage, reasoning int) []byte {
	dst = append(dst, `{"prompt_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.PromptTokens), 10)
	dst = append(dst, `,"completion_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.CompletionTokens), 10)
	dst = append(dst, `,"total_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.PromptTokens+u.CompletionTokens), 10)
	dst = append(dst, `,"prompt_tokens_details":{"cached_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.CachedTokens), 10)
	dst = append(dst, `},"completion_tokens_details":{"reasoning_tokens":`...)
	dst = strconv.AppendInt(dst, int64(reasoning), 10)
	return append(dst, `}}`...)
}
