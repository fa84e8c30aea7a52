package server

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// textPosition is where the next token stands in a text choice.
type textPosition struct {
	decoder tokenizer.Stream
	offset  int // runes of the choice's text before it
}

// startText returns the position at the start of an echoed prompt.
func (s *Server) startText() textPosition {
	return textPosition{decoder: s.model.Tokenizer.Stream(true)}
}

// endPrompt goes on behind a prompt, as the engine does: the answer's first space stays.
func (p *textPosition) endPrompt(s *Server, prompt []int32) {
	p.offset += utf8.RuneCount(p.decoder.Flush(nil))
	if slices.ContainsFunc(prompt, func(id int32) bool { return !s.model.Tokenizer.IsControl(id) }) {
		p.decoder.Continue()
	}
}

// textLogprobs are the lists of a text choice's logprobs object in the making, one entry
// a token. The tokens join to the choice's text but for control tokens, which show their
// names, and parts of runes, which show their bytes.
type textLogprobs struct {
	server                           *Server
	top                              int // alternatives shown
	tokens, logprobs, tops, position []byte
}

// add adds a token at p and moves p behind it. unscored tells that nothing stands before
// the token, so that its log-probability is null.
func (l *textLogprobs) add(t *engine.Token, p *textPosition, unscored bool) {
	if len(l.tokens) > 0 {
		for _, list := range []*[]byte{&l.tokens, &l.logprobs, &l.tops, &l.position} {
			*list = append(*list, ',')
		}
	}
	l.tokens = appendString(l.tokens, l.show(p.decoder, t.ID))
	l.position = strconv.AppendInt(l.position, int64(p.offset), 10)
	if unscored {
		l.logprobs, l.tops = append(l.logprobs, `null`...), append(l.tops, `null`...)
	} else {
		l.logprobs = appendFloat(l.logprobs, t.Logprob)
		l.addTop(t, p.decoder)
	}
	p.offset += utf8.RuneCountInString(p.decoder.Push(t.ID))
}

// show returns a token as it shows where decoder, which it gets a copy of, stands.
func (l *textLogprobs) show(decoder tokenizer.Stream, id int32) string {
	piece := l.server.piece(id)
	if l.server.model.Tokenizer.IsControl(id) || !utf8.Valid(piece) {
		return tokenText(piece)
	}
	return decoder.Push(id)
}

// addTop adds the alternatives by their text, with the token itself among them. Of two
// tokens with one text the likelier stands.
func (l *textLogprobs) addTop(t *engine.Token, decoder tokenizer.Stream) {
	var seen []string
	l.tops = append(l.tops, '{')
	add := func(id int32, logprob float32) {
		text := l.show(decoder, id)
		if slices.Contains(seen, text) {
			return
		}
		if len(seen) > 0 {
			l.tops = append(l.tops, ',')
		}
		seen = append(seen, text)
		l.tops = append(appendString(l.tops, text), ':')
		l.tops = appendFloat(l.tops, logprob)
	}
	for _, alt := range t.Top[:min(l.top, len(t.Top))] {
		add(alt.ID, alt.Logprob)
	}
	add(t.ID, t.Logprob)
	l.tops = append(l.tops, '}')
}

// appendJSON writes the object.
func (l *textLogprobs) appendJSON(dst []byte) []byte {
	dst = append(append(dst, `{"tokens":[`...), l.tokens...)
	dst = append(append(dst, `],"token_logprobs":[`...), l.logprobs...)
	dst = append(append(dst, `],"top_logprobs":[`...), l.tops...)
	dst = append(append(dst, `],"text_offset":[`...), l.position...)
	return append(dst, `]}`...)
}
