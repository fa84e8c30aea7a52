package kernels

import "math"

// SOFTCAP: out0 = f0 * tanh(in0 / f0), elementwise (Gemma 2). out0 may be in0.
var opSoftcap = register(op{name: "softcap", code: 12, ref: softcapRef, inPlace: true})

func init() { opSoftcap.grad = softcapGrad }

func softcapRef(s *step, in *Instr) {
	s.each(in, func(x float32) float32 { return softcap(x, in.F[0]) })
}

func softcap(x, c float32) float32 { return c * float32(math.Tanh(float64(x/c))) }

// Softcap returns c * tanh(x/c).
func (b *Builder) Softcap(x Value, c float32) Value {
	return b.map1("softcap", opSoftcap, x, Instr{F: [4]float32{c}})
}
