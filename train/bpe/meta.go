package bpe

import (
	"slices"

	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant"
)

// GGUF's kinds of tokens.
const (
	kindNormal  = 1
	kindControl = 3
)

// Roles are what special tokens are for, by their text; "" or a text that is no special
// token's is none.
type Roles struct {
	EOS string // ends a document
	PAD string
	// Template is a chat template (Jinja), "" for none.
	Template string
}

// Meta returns the vocabulary as GGUF's metadata, for the pre-tokenizer that it was
// trained with.
func (m *Model) Meta(pre string, r Roles) *quant.Meta {
	texts, kinds := make([]string, len(m.Tokens)), make([]int32, len(m.Tokens))
	for id, text := range m.Tokens {
		texts[id], kinds[id] = tokenizer.ByteLevelText(text), kindNormal
		if id < m.Special {
			texts[id], kinds[id] = text, kindControl
		}
	}
	merges := make([]string, len(m.Merges))
	for i, rule := range m.Merges {
		merges[i] = texts[rule.Left] + " " + texts[rule.Right]
	}
	meta := &quant.Meta{}
	meta.Set("tokenizer.ggml.model", "gpt2")
	meta.Set("tokenizer.ggml.pre", tokenizer.CanonicalPre(pre))
	meta.Set("tokenizer.ggml.tokens", texts)
	meta.Set("tokenizer.ggml.token_type", kinds)
	meta.Set("tokenizer.ggml.merges", merges)
	meta.Set("tokenizer.ggml.add_bos_token", false)
	for _, role := range []struct{ key, text string }{{"eos", r.EOS}, {"padding", r.PAD}} {
		if id := slices.Index(m.Tokens[:m.Special], role.text); id >= 0 {
			meta.Set("tokenizer.ggml."+role.key+"_token_id", uint32(id))
		}
	}
	if r.Template != "" {
		meta.Set("tokenizer.chat_template", r.Template)
	}
	return meta
}
