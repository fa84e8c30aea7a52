package bench

import (
	"time"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// roofline is what bounds a model's speed on a machine: a step takes at least as long as
// reading its bytes from memory, and as its products (Williams et al. 2009). A batch of
// a mixture reads more experts than the one token that is counted here, so for those
// the bound is generous.
type roofline struct {
	lib     *kernels.Library
	model   *model.Model
	bytesS  float64 // read from memory per second
	flopS   float64 // of products; 0 where unknown
	weights int64   // bytes of weights read by a step
}

func newRoofline(lib *kernels.Library, m *model.Model, t *kernels.Table, act kernels.Activations, p kernels.Peaks) roofline {
	return roofline{lib: lib, model: m, bytesS: p.ReadBytes, flopS: productPeak(m.Program, t, act, p), weights: m.Program.Bytes()}
}

// readTime is how long reading the weights is measured, before and after what it bounds.
const readTime = 60 * time.Millisecond

// read returns how fast the weights' own memory is read now, or what the machine's was
// where the weights lie in a file's pages.
func (r *roofline) read() float64 {
	mem := r.model.Program.Memory()
	if rate, err := r.lib.ReadRate(mem, readTime); err == nil && rate > 0 {
		return rate
	}
	return r.bytesS
}

// tokensPerSecond bounds a step over rows tokens of seqs sequences, each of which sees
// context keys; 0 where the machine's limits are unknown.
func (r *roofline) tokensPerSecond(rows, seqs, context int) float64 {
	if r.bytesS == 0 {
		return 0
	}
	seconds := float64(r.weights+int64(seqs)*r.cacheBytes(context)) / r.bytesS
	if r.flopS > 0 {
		seconds = max(seconds, float64(r.model.Program.FLOPs(rows, seqs, context))/r.flopS)
	}
	return float64(rows) / seconds
}

// cacheBytes returns the bytes of keys and values that one row reads.
func (r *roofline) cacheBytes(context int) int64 {
	var n int64
	for l, layout := range r.model.Program.Layers {
		seen := context
		if w := r.model.Window[l]; w > 0 {
			seen = min(seen, w)
		}
		n += int64(layout.BlockBytes()) * int64(seen) / kernels.BlockTokens
	}
	return n
}

// productPeak returns the measured peak of the instruction that the table's products
// rest on, for the type that most of the weights have.
func productPeak(p *kernels.Program, t *kernels.Table, act kernels.Activations, peaks kernels.Peaks) float64 {
	return weightPeak(mainType(p), t, act, peaks)
}

// weightPeak returns the peak for weights of one type, 0 where it is unknown.
func weightPeak(weights quant.DType, t *kernels.Table, act kernels.Activations, peaks kernels.Peaks) float64 {
	switch {
	case t == kernels.Reference:
		return 0 // plain Go has no instruction of its own to be measured by
	case weights == quant.F32:
		return peaks.F32
	case act == kernels.ActInt8 && weights.BlockElems() > 1 && t.Name == "amx":
		return peaks.AMXInt8
	case act == kernels.ActInt8 && weights.BlockElems() > 1:
		return peaks.Int8 // 0 without VNNI: what stands in for it is not measured
	case t.Name == "amx":
		return peaks.AMXBF16
	case t.Name == "avx512_bf16":
		return peaks.BF16
	}
	return peaks.F32
}

// mainType returns the type that most bytes of weights have.
func mainType(p *kernels.Program) quant.DType {
	bytes := map[quant.DType]int{}
	best := quant.F32
	for _, o := range p.Operands {
		if o.Kind == kernels.Weight {
			bytes[o.DType] += len(o.Data)
			if bytes[o.DType] > bytes[best] {
				best = o.DType
			}
		}
	}
	return best
}
