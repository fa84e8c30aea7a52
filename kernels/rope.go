package kernels

// Layout says which dimensions of a head rotary embedding pairs.
type Layout uint8

const (
	RopeHalf        Layout = iota // i with i + R/2 (GPT-NeoX, Llama in Hugging Face's form)
	RopeInterleaved               // 2i with 2i + 1 (the original; Llama in GGUF)
)

// ROPE: for each head and pair i (a, b), with table columns cos[i] and sin[i],
//
//	y[i] = a*cos - b*sin    y[i + R/2] = a*sin + b*cos
//
//	out0, in0 [T, H*D] ; in1 table [T, R] ; i0 H, i1 D, i2 R <= D, i3 Layout
//
// Su et al. 2021. The result is in half layout for both layouts of the input, so that
// q.k adds in one order whichever it was. Dimensions from R on are copied. Products are
// rounded before the addition, in every table: the bits are the same.
var opRoPE = register(op{name: "rope", code: 7, ref: ropeRef})

func init() { opRoPE.grad = ropeGrad }

func ropeRef(s *step, in *Instr) {
	d, r := int(in.I[1]), int(in.I[2])
	for t := range s.batch.Tokens {
		x, y, table := s.row(in.In[0], t), s.row(in.Out[0], t), s.row(in.In[1], t)
		for ; len(x) > 0; x, y = x[d:], y[d:] {
			rope(y[:d], x[:d], table[:r/2], table[r/2:], Layout(in.I[3]))
		}
	}
}

func rope(y, x, cos, sin []float32, l Layout) {
	half := len(cos)
	for i := range half {
		a, b := x[i], x[i+half]
		if l == RopeInterleaved {
			a, b = x[2*i], x[2*i+1]
		}
		y[i] = float32(a*cos[i]) - float32(b*sin[i])
		y[i+half] = float32(a*sin[i]) + float32(b*cos[i])
	}
	copy(y[2*half:], x[2*half:])
}

// RoPE rotates the heads of x [T, heads*headDim] by a table of RopeTable, which covers
// the first columns of each head.
func (b *Builder) RoPE(x, table Value, heads, headDim int, l Layout) Value {
	b.need("rope", heads*headDim, x)
	r := b.at(table).Cols
	if r > headDim || b.at(x).Per != PerToken || b.at(x).Rows != 1 {
		misfit("rope: %s with heads of %d and a table of %d", b.p.shape(int32(x)), headDim, r)
	}
	y := b.like(x, heads*headDim)
	b.emit(opRoPE, Instr{Out: results(y), In: reads(x, table), I: [8]int32{int32(heads), int32(headDim), int32(r), int32(l)}})
	return y
}
