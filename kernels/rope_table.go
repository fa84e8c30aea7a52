package kernels

import "math"

// ROPE_TABLE: out0 [T, R] f32: the cosines, then the sines, of position * inv[i], i in
// 0 ... R/2-1, times mscale.
//
//	in0 inv [R/2] f32 ; f0 mscale
//
// Angle, cosine and sine are in float64; the cosine or sine is rounded to f32, then
// multiplied. Tolerance between tables: 1 unit in the last place before mscale.
var opRopeTable = register(op{name: "rope_table", code: 6, ref: ropeTableRef})

func ropeTableRef(s *step, in *Instr) {
	inv := s.vector(in.In[0])
	for t, position := range s.batch.Positions {
		cos := s.row(in.Out[0], t)
		sin := cos[len(inv):]
		for i, f := range inv {
			sn, cs := math.Sincos(float64(position) * float64(f))
			cos[i], sin[i] = float32(cs)*in.F[0], float32(sn)*in.F[0]
		}
	}
}

// RopeTable returns the rotary cosines and sines [T, 2*len(inv)] for the inverse
// frequencies inv, times mscale (1, or YaRN's attention factor). One table serves all
// layers with the same arguments.
func (b *Builder) RopeTable(inv []float32, mscale float32) Value {
	if len(inv) == 0 {
		misfit("rope table without frequencies")
	}
	key := sameKey(inv, mscale)
	if v, ok := b.tables[key]; ok {
		return v
	}
	frequencies := b.native(len(inv))
	copy(frequencies, inv)
	weight := b.constant("rope inverse frequencies", 0, 1, len(inv), bytesOf(frequencies))
	y := b.add(Operand{Kind: Activation, Per: PerToken, Rows: 1, Cols: 2 * len(inv)})
	b.emit(opRopeTable, Instr{Out: results(y), In: reads(weight), F: [4]float32{mscale}})
	b.tables[key] = y
	return y
}
