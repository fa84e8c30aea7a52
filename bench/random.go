package bench

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/model/shape"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// randomModel is a model of some shape whose weights are random: a quant.Source that no
// file is needed for. Every row of a tensor has its own memory, but only the first
// distinct ones their own values, which the others repeat.
type randomModel struct {
	meta     *quant.Meta
	infos    []quant.Tensor
	bytes    int64 // of all tensors
	distinct int

	mu       sync.Mutex
	made     map[string]*kernels.Buf
	done     int64 // bytes
	progress *cli.Progress
}

// newRandomModel returns the model of shape s in the mix m, for measuring speed: its
// tensors have tileRows distinct rows. p, which may be nil, is told as they are made.
func newRandomModel(s shape.Shape, m quant.Mix, p *cli.Progress) *randomModel {
	r := &randomModel{meta: s.Meta(), infos: s.Tensors(), distinct: tileRows, made: map[string]*kernels.Buf{}, progress: p}
	r.meta.Set("general.file_type", m.FileType)
	for i := range r.infos {
		t := &r.infos[i]
		t.DType = m.TypeFor(quant.TensorFacts{Name: t.Name, Shape: t.Shape, Layers: s.Layers, Experts: s.Experts, GQA: s.Heads / s.KVHeads, Tied: s.Tied})
		r.bytes += int64(dataBytes(*t))
	}
	return r
}

// Meta implements quant.Source.
func (r *randomModel) Meta() *quant.Meta { return r.meta }

// Infos implements quant.Source.
func (r *randomModel) Infos() []quant.Tensor { return r.infos }

// Tensor implements quant.Source. A tensor is made when it is first asked for.
func (r *randomModel) Tensor(name string) (quant.Tensor, error) {
	for _, t := range r.infos {
		if t.Name == name {
			data, err := r.data(t)
			t.Data = data
			return t, err
		}
	}
	return quant.Tensor{}, fmt.Errorf("%q: %w", name, quant.ErrNoTensor)
}

// Release implements quant.Releaser.
func (r *randomModel) Release() { _ = r.Close() }

// Close implements quant.Source.
func (r *randomModel) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.made {
		b.Free()
	}
	clear(r.made)
	return nil
}

func (r *randomModel) data(t quant.Tensor) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b, ok := r.made[t.Name]; ok {
		return b.Bytes(), nil
	}
	b, err := kernels.NewBuf(dataBytes(t))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	r.made[t.Name] = b
	err = fill(b.Bytes(), t, r.distinct)
	r.done += int64(len(b.Bytes()))
	r.progress.Set(r.done, r.bytes)
	return b.Bytes(), err
}

func dataBytes(t quant.Tensor) int { return t.Rows() * t.DType.RowBytes(t.Cols()) }

// tileRows is how many rows of a tensor differ where only speed counts: to quantize all
// of them would take longer than measuring.
const tileRows = 16

// fill writes distinct random rows of t's type into data, repeated to its end.
func fill(data []byte, t quant.Tensor, distinct int) error {
	random := rand.New(rand.NewPCG(1, seedOf(t.Name)))
	row, bytes := make([]float32, t.Cols()), t.DType.RowBytes(t.Cols())
	rows := min(distinct, t.Rows())
	for i := range rows {
		for j := range row {
			row[j] = value(random, t)
		}
		if err := quant.Quantize(t.DType, data[i*bytes:][:bytes], row, nil); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	for n := rows * bytes; n < len(data); n *= 2 {
		copy(data[n:], data[:n])
	}
	return nil
}

// seedOf numbers a text, so that tensors of one size differ.
func seedOf(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

// value returns a random element such that activations keep the size that they have in
// a trained model: norms of one, and rows of matrices of length one.
func value(random *rand.Rand, t quant.Tensor) float32 {
	switch {
	case strings.HasSuffix(t.Name, "norm.weight"):
		return 1
	case strings.HasSuffix(t.Name, ".bias"):
		return float32(0.02 * random.NormFloat64())
	}
	return float32(random.NormFloat64() / math.Sqrt(float64(t.Cols())))
}
