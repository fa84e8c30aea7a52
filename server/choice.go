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
