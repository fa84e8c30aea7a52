package kernels

import "math"

// Act is an activation function.
type Act uint8

const (
	SiLU     Act = 0 // x * sigmoid(x)
	GELUTanh Act = 1 // x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
	GELUErf  Act = 2 // x/2 * (1 + erf(x / sqrt 2))
	ReLU     Act = 3
	Tanh     Act = 4

	// SwiGLUClamped is gpt-oss's gate, for GLU only: with g = min(gate, limit) and
	// u = clamp(up, -limit, limit), g * sigmoid(alpha*g) * (u + 1).
	SwiGLUClamped Act = 10
)

// ACT: out0 = act(in0), elementwise. out0 may be in0.
//
//	i0 Act
//
// The reference computes in float64 and rounds once.
var opAct = register(op{name: "act", code: 13, ref: actRef, inPlace: true})

func init() { opAct.grad = actGrad }

func actRef(s *step, in *Instr) {
	s.each(in, func(x float32) float32 { return float32(Act(in.I[0]).of(float64(x))) })
}

func (a Act) of(x float64) float64 {
	switch a {
	case SiLU:
		return x * sigmoid(x)
	case GELUTanh:
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case GELUErf:
		return x / 2 * (1 + math.Erf(x/math.Sqrt2))
	case ReLU:
		return max(x, 0)
	}
	return math.Tanh(x)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// Act returns kind(x); kind is none of GLU's own.
func (b *Builder) Act(x Value, kind Act) Value {
	if kind > Tanh {
		misfit("act: not a function of one input")
	}
	return b.map1("act", opAct, x, Instr{I: [8]int32{int32(kind)}})
}
