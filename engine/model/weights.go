package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// Weights gives a family its tensors by GGUF name and remembers which were asked for,
// so that a tensor which the family does not know is an error, not a silent loss.
type Weights struct {
	src  quant.Source
	has  map[string]bool
	used map[string]bool
}

// unfit is the panic value of a tensor that is absent or does not fit the metadata; Load
// recovers it.
type unfit struct{ err error }

func newWeights(src quant.Source) *Weights {
	w := &Weights{src: src, has: map[string]bool{}, used: map[string]bool{}}
	for _, t := range src.Infos() {
		w.has[t.Name] = true
	}
	return w
}

// W returns the weight NAME.weight, which the architecture cannot do without.
func (w *Weights) W(name string) kernels.Tensor {
	t, err := w.get(name + ".weight")
	if err != nil {
		panic(unfit{err})
	}
	return t
}

// B returns the bias NAME.bias, or the absent tensor.
func (w *Weights) B(name string) kernels.Tensor { return w.optional(name + ".bias") }

// Has reports whether NAME.weight is there.
func (w *Weights) Has(name string) bool { return w.has[name+".weight"] }

func (w *Weights) optional(name string) kernels.Tensor {
	t, err := w.get(name)
	if err != nil && !errors.Is(err, quant.ErrNoTensor) {
		panic(unfit{err})
	}
	return t
}

func (w *Weights) get(name string) (kernels.Tensor, error) {
	w.used[name] = true
	return w.src.Tensor(name)
}

// floats returns the values of an f32 tensor by its full name, nil if it is absent.
func (w *Weights) floats(name string) []float32 {
	t := w.optional(name)
	if t.Data == nil {
		return nil
	}
	out := make([]float32, t.Elems())
	quant.Dequantize(t.DType, out, t.Data)
	return out
}

// Layer returns the weights of layer l.
func (w *Weights) Layer(l int) Layer { return Layer{w, fmt.Sprintf("blk.%d.", l)} }

// Layer names tensors within one block.
type Layer struct {
	w      *Weights
	prefix string
}

// W returns the required weight of the layer.
func (p Layer) W(name string) kernels.Tensor { return p.w.W(p.prefix + name) }

// B returns the layer's bias, or the absent tensor.
func (p Layer) B(name string) kernels.Tensor { return p.w.B(p.prefix + name) }

// Has reports whether the layer has the weight.
func (p Layer) Has(name string) bool { return p.w.Has(p.prefix + name) }

// derived are tensors that hold what can be computed: ignoring them loses nothing.
var derived = []string{"rotary_emb.inv_freq", "attn_rot_embd.weight", "attn.masked_bias", "rope_freqs.weight",
	"rope_factors_long.weight", "rope_factors_short.weight"}

// unknown returns the tensors of the file that no one asked for.
func (w *Weights) unknown() []string {
	var out []string
	for _, t := range w.src.Infos() {
		ignorable := slices.ContainsFunc(derived, func(d string) bool { return strings.HasSuffix(t.Name, d) })
		if !w.used[t.Name] && !ignorable {
			out = append(out, t.Name)
		}
	}
	return out
}
