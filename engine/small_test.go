package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// smallModel is a llama of random weights, wide enough for blocks of 256, with the real
// tokenizer of stories260K.
type smallModel struct {
	meta    *quant.Meta
	tensors []quant.Tensor
}

func (m *smallModel) Meta() *quant.Meta { return m.meta }
func (m *smallModel) Close() error      { return nil }

func (m *smallModel) Infos() []quant.Tensor {
	out := slices.Clone(m.tensors)
	for i := range out {
		out[i].Data = nil
	}
	return out
}

func (m *smallModel) Tensor(name string) (quant.Tensor, error) {
	i := slices.IndexFunc(m.tensors, func(t quant.Tensor) bool { return t.Name == name })
	if i < 0 {
		return quant.Tensor{}, fmt.Errorf("%q: %w", name, quant.ErrNoTensor)
	}
	return m.tensors[i], nil
}

const (
	smallDim, smallFF     = 256, 512
	smallHeads, smallKV   = 8, 4
	smallVocab, smallSpan = 512, 256
	smallCache            = 2 * 2 * 2 * smallDim / smallHeads * smallKV * smallSpan // K and V, two layers, bf16: one full sequence
)

// newSmallModel makes the model with matrices of type d; the seed is fixed.
func newSmallModel(t *testing.T, d quant.DType) *smallModel {
	t.Helper()
	src, err := checkpoint.Open(quanttest.Shared(t, "data", "models", "stories260K"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	m := &smallModel{meta: src.Meta().Clone()}
	for key, n := range map[string]int{
		"block_count": 2, "embedding_length": smallDim, "feed_forward_length": smallFF, "context_length": smallSpan,
		"attention.head_count": smallHeads, "attention.head_count_kv": smallKV, "rope.dimension_count": smallDim / smallHeads,
	} {
		m.meta.Set("llama."+key, uint32(n))
	}
	r := rand.New(rand.NewPCG(1, 2))
	m.matrix(t, r, "token_embd", d, smallVocab, smallDim)
	for l := range 2 {
		p, kv := fmt.Sprintf("blk.%d.", l), smallDim/smallHeads*smallKV
		m.norm(p + "attn_norm")
		m.matrix(t, r, p+"attn_q", d, smallDim, smallDim)
		m.matrix(t, r, p+"attn_k", d, kv, smallDim)
		m.matrix(t, r, p+"attn_v", d, kv, smallDim)
		m.matrix(t, r, p+"attn_output", d, smallDim, smallDim)
		m.norm(p + "ffn_norm")
		m.matrix(t, r, p+"ffn_gate", d, smallFF, smallDim)
		m.matrix(t, r, p+"ffn_up", d, smallFF, smallDim)
		m.matrix(t, r, p+"ffn_down", d, smallDim, smallFF)
	}
	m.norm("output_norm")
	return m
}

func (m *smallModel) matrix(t *testing.T, r *rand.Rand, name string, d quant.DType, rows, cols int) {
	x := make([]float32, rows*cols)
	for i := range x {
		x[i] = float32(r.NormFloat64()) / 16
	}
	data := make([]byte, d.RowBytes(cols)*rows)
	if err := quant.Quantize(d, data, x, nil); err != nil {
		t.Fatal(err)
	}
	m.tensors = append(m.tensors, quant.Tensor{Name: name + ".weight", DType: d, Shape: []int{rows, cols}, Data: data})
}

func (m *smallModel) norm(name string) {
	x := make([]float32, smallDim)
	for i := range x {
		x[i] = 1
	}
	data := make([]byte, 4*smallDim)
	if err := quant.Quantize(quant.F32, data, x, nil); err != nil {
		panic(err)
	}
	m.tensors = append(m.tensors, quant.Tensor{Name: name + ".weight", DType: quant.F32, Shape: []int{smallDim}, Data: data})
}
