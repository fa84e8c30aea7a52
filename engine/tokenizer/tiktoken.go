package tokenizer

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// encodings are OpenAI's: the splitting pattern and the control tokens that the rank
// file leaves out.
var encodings = map[string]struct {
	pattern  string
	specials map[string]int
}{
	"r50k":      {gpt2Pattern, map[string]int{"<|endoftext|>": 50256}},
	"p50k":      {gpt2Pattern, map[string]int{"<|endoftext|>": 50256}},
	"p50k_edit": {gpt2Pattern, map[string]int{"<|endoftext|>": 50256, "<|fim_prefix|>": 50281, "<|fim_middle|>": 50282, "<|fim_suffix|>": 50283}},
	"cl100k":    {llama3Pattern, map[string]int{"<|endoftext|>": 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260, "<|endofprompt|>": 100276}},
	"o200k":     {o200kPattern, map[string]int{"<|endoftext|>": 199999, "<|endofprompt|>": 200018}},
}

// FromTiktoken reads a rank file: a line per token, its bytes in base64, a space and
// its id, which is also its rank. Encoding is r50k, p50k, p50k_edit, cl100k or o200k,
// with or without "_base".
func FromTiktoken(data []byte, encoding string) (*Tokenizer, error) {
	enc, ok := encodings[string(bytes.TrimSuffix([]byte(encoding), []byte("_base")))]
	if !ok {
		return nil, fmt.Errorf("unknown tiktoken encoding %q, want one of %v", encoding, slices.Sorted(maps.Keys(encodings)))
	}
	tokens, err := parseRanks(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read the tiktoken file: %w", err)
	}
	for _, id := range enc.specials {
		for len(tokens) <= id {
			tokens = append(tokens, "")
		}
	}
	texts, kinds := make([]string, len(tokens)), make([]kind, len(tokens))
	for i, raw := range tokens {
		texts[i], kinds[i] = ByteLevelText(raw), normal
		if raw == "" {
			texts[i], kinds[i] = fmt.Sprintf("[unused%d]", i), control
		}
	}
	for text, id := range enc.specials {
		texts[id], kinds[id] = text, control
	}
	return tiktoken(texts, kinds, tokens, enc.pattern)
}

func tiktoken(texts []string, kinds []kind, raw []string, pattern string) (*Tokenizer, error) {
	v, err := newVocab(texts, kinds)
	if err != nil {
		return nil, err
	}
	b := builder{vocab: v, special: noSpecials}
	m := newBPE(v, bpeConfig{byteLevel: true, unk: -1})
	ranks := make([]uint32, len(raw))
	for i := range ranks {
		ranks[i] = uint32(i)
	}
	bytesOf := func(id int32) string { return raw[id] }
	m.addRanked(v, bytesOf, ranks)
	m.finish(v, bytesOf, true)
	b.model = m
	b.stages = []stage{{cut: cuts[pattern]}}
	b.special.eos = v.id("<|endoftext|>")
	b.special.bos = b.special.eos
	b.addControls()
	return b.build(byteLevelPiece(v))
}

// parseRanks returns the tokens' bytes by id.
func parseRanks(data []byte) ([]string, error) {
	var tokens []string
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		word, rank, _ := bytes.Cut(text, []byte(" "))
		id, err := strconv.Atoi(string(rank))
		if err != nil || id < 0 || id >= maxVocab {
			return nil, fmt.Errorf("line %d: %q is no rank below %d", line, rank, maxVocab)
		}
		raw, err := base64.StdEncoding.DecodeString(string(word))
		if err != nil || len(raw) == 0 {
			return nil, fmt.Errorf("line %d: %q is no token in base64", line, word)
		}
		for len(tokens) <= id {
			tokens = append(tokens, "")
		}
		if tokens[id] != "" {
			return nil, fmt.Errorf("line %d: rank %d occurs twice", line, id)
		}
		tokens[id] = string(raw)
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("it holds no tokens")
	}
	return tokens, nil
}
