// Package llama2c reads the model and tokenizer files of Karpathy's llama2.c (its
// first format) as a quant.Source of GGUF's llama architecture.
//
//	model:     dim, hidden, layers, heads, kv heads, vocabulary, context: 7 x int32
//	           (a negative vocabulary: the output matrix is not the embedding)
//	           float32: embedding, then of all layers attn_norm, q, k, v, o, ffn_norm,
//	           gate, down, up; output norm; cos and sin tables [context, head/2] each
//	           (unused); output matrix if it is not the embedding
//	tokenizer: longest token int32, then per token score float32, length int32, bytes
//
// The rotary embedding turns neighbouring elements, as GGUF's llama has them.
package llama2c

import (
	"fmt"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/bounds"
)

// header is the model file's first 28 bytes.
type header struct {
	dim, hidden, layers, heads, kvHeads, vocab, context int
	tied                                                bool
}

const headerBytes = 28

// Limits far above any model in this format.
const (
	maxLayers = 4096
	maxWidth  = 1 << 20
)

func readHeader(data []byte) (header, error) {
	r := bounds.NewReader("llama2.c model", data)
	at := func(field string, limit int) int {
		n := int(int32(r.U32(field)))
		if r.Err() == nil && (n < 1 || n > limit) {
			r.Fail(field, "%d is not within 1 to %d", n, limit)
		}
		return n
	}
	h := header{
		dim: at("dim", maxWidth), hidden: at("hidden_dim", maxWidth), layers: at("n_layers", maxLayers),
		heads: at("n_heads", maxWidth), kvHeads: at("n_kv_heads", maxWidth), tied: true,
	}
	h.vocab = int(int32(r.U32("vocab_size")))
	if h.vocab < 0 {
		h.vocab, h.tied = -h.vocab, false
	}
	if r.Err() == nil && (h.vocab < 1 || h.vocab > maxWidth*16) {
		r.Fail("vocab_size", "%d is out of range", h.vocab)
	}
	h.context = at("seq_len", 1<<30)
	if r.Err() == nil && (h.dim%h.heads != 0 || h.dim/h.heads%2 != 0 || h.heads%h.kvHeads != 0) {
		r.Fail("n_heads", "%d heads and %d key-value heads do not divide width %d into even heads", h.heads, h.kvHeads, h.dim)
	}
	return h, r.Err()
}

// array is one of the file's arrays: a tensor, or one for each layer.
type array struct {
	name  string // "blk.%d.NAME" for one of each layer; "" = not used
	shape []int
}

// arrays lists the file's arrays in order.
func (h header) arrays() []array {
	head := h.dim / h.heads
	kv := h.kvHeads * head
	out := []array{
		{"token_embd.weight", []int{h.vocab, h.dim}},
		{"blk.%d.attn_norm.weight", []int{h.dim}},
		{"blk.%d.attn_q.weight", []int{h.dim, h.dim}},
		{"blk.%d.attn_k.weight", []int{kv, h.dim}},
		{"blk.%d.attn_v.weight", []int{kv, h.dim}},
		{"blk.%d.attn_output.weight", []int{h.dim, h.dim}},
		{"blk.%d.ffn_norm.weight", []int{h.dim}},
		{"blk.%d.ffn_gate.weight", []int{h.hidden, h.dim}},
		{"blk.%d.ffn_down.weight", []int{h.dim, h.hidden}},
		{"blk.%d.ffn_up.weight", []int{h.hidden, h.dim}},
		{"output_norm.weight", []int{h.dim}},
		{"", []int{h.context, head}}, // both tables: cos and sin of half a head each
	}
	if !h.tied {
		out = append(out, array{"output.weight", []int{h.vocab, h.dim}})
	}
	return out
}

// perLayer reports whether the array has a part for each layer.
func (a array) perLayer() bool { return len(a.name) > 4 && a.name[:4] == "blk." }

// parseModel returns the header and the tensors of a model file, whose size must be
// exactly what the header says.
func parseModel(data []byte) (header, []quant.Tensor, error) {
	h, err := readHeader(data)
	if err != nil {
		return h, nil, err
	}
	r := bounds.NewReader("llama2.c model", data)
	r.Bytes("header", headerBytes)
	var tensors []quant.Tensor
	for _, a := range h.arrays() {
		parts := 1
		if a.perLayer() {
			parts = h.layers
		}
		for l := range parts {
			n, ok := bounds.Mul(append([]int{4}, a.shape...)...)
			if !ok {
				return h, nil, r.Fail(a.name, "shape %v is too large", a.shape)
			}
			t := quant.Tensor{Name: a.name, DType: quant.F32, Shape: a.shape, Data: r.Bytes(a.name, uint64(n))}
			if a.perLayer() {
				t.Name = fmt.Sprintf(a.name, l)
			}
			if a.name != "" {
				tensors = append(tensors, t)
			}
			if r.Err() != nil {
				return h, nil, r.Err()
			}
		}
	}
	if r.Left() > 0 {
		return h, nil, r.Fail("end", "%d bytes follow the weights of the model that the header describes", r.Left())
	}
	return h, tensors, nil
}

// meta returns the header as GGUF's metadata. The format fixes what it does not say:
// theta 10000, epsilon 1e-5.
func (h header) meta() *quant.Meta {
	m := &quant.Meta{}
	m.Set("general.architecture", "llama")
	m.Set("general.type", "model")
	for _, f := range []struct {
		key   string
		value int
	}{
		{"context_length", h.context}, {"embedding_length", h.dim}, {"block_count", h.layers},
		{"feed_forward_length", h.hidden}, {"attention.head_count", h.heads}, {"attention.head_count_kv", h.kvHeads},
		{"rope.dimension_count", h.dim / h.heads}, {"vocab_size", h.vocab},
	} {
		m.Set("llama."+f.key, uint32(f.value))
	}
	m.Set("llama.rope.freq_base", float32(10000))
	m.Set("llama.attention.layer_norm_rms_epsilon", float32(1e-5))
	return m
}
