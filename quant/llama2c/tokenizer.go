package llama2c

import (
	"fmt"
	"strings"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/bounds"
)

// GGUF's types of tokens.
const (
	normalToken  int32 = 1
	unknownToken int32 = 2
	controlToken int32 = 3
	byteToken    int32 = 6
)

// Ids that every tokenizer of this format has.
const (
	unknownID = 0
	bosID     = 1
	eosID     = 2
	firstByte = 3 // then 256 tokens <0x00> to <0xFF>
)

// maxToken bounds a token's bytes.
const maxToken = 16 << 10

// vocabulary is a tokenizer file's contents.
type vocabulary struct {
	tokens []string
	scores []float32
}

// parseTokenizer reads a tokenizer file of exactly n tokens.
func parseTokenizer(data []byte, n int) (vocabulary, error) {
	r := bounds.NewReader("llama2.c tokenizer", data)
	r.U32("longest token")
	var v vocabulary
	if r.Err() == nil && n > r.Left()/8 {
		return v, r.Fail("tokens", "the file's %d bytes cannot hold the model's %d tokens", len(data), n)
	}
	for id := range n {
		score := r.F32("score")
		length := r.U32("length")
		if r.Err() == nil && length > maxToken {
			r.Fail("length", "token %d has %d bytes, above the limit of %d", id, length, maxToken)
		}
		token := string(r.Bytes("token", uint64(length)))
		if r.Err() != nil {
			return v, r.Err()
		}
		v.tokens = append(v.tokens, token)
		v.scores = append(v.scores, score)
	}
	if r.Left() > 0 {
		return v, r.Fail("end", "%d bytes follow the model's %d tokens", r.Left(), n)
	}
	return v, nil
}

// put puts the vocabulary into the metadata as SentencePiece's, whose spaces are
// U+2581 (the format has plain ones), with byte fallback.
func (v vocabulary) put(m *quant.Meta) {
	tokens := make([]string, len(v.tokens))
	types := make([]int32, len(v.tokens))
	for id, t := range v.tokens {
		tokens[id], types[id] = piece(id, t)
	}
	m.Set("tokenizer.ggml.model", "llama")
	m.Set("tokenizer.ggml.pre", "default")
	m.Set("tokenizer.ggml.tokens", tokens)
	m.Set("tokenizer.ggml.scores", v.scores)
	m.Set("tokenizer.ggml.token_type", types)
	m.Set("tokenizer.ggml.bos_token_id", uint32(bosID))
	m.Set("tokenizer.ggml.eos_token_id", uint32(eosID))
	m.Set("tokenizer.ggml.unknown_token_id", uint32(unknownID))
	m.Set("tokenizer.ggml.add_bos_token", true)
	m.Set("tokenizer.ggml.add_eos_token", false)
	m.Set("tokenizer.ggml.add_space_prefix", true)
}

// piece returns a token as SentencePiece writes it, and its type.
func piece(id int, text string) (string, int32) {
	switch {
	case id == unknownID:
		return "<unk>", unknownToken
	case id == bosID:
		return "<s>", controlToken
	case id == eosID:
		return "</s>", controlToken
	case id < firstByte+256 && text == fmt.Sprintf("<0x%02X>", id-firstByte):
		return text, byteToken
	}
	return strings.ReplaceAll(text, " ", "▁"), normalToken
}
