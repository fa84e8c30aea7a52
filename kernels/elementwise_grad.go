package kernels

import "math"

// ACT_DX: out0 = in0 * act'(in1), elementwise. out0 may be in0.
//
//	in0 dy, in1 x [n, C] ; i0 Act
var opActDX = register(op{name: "act_dx", code: 29, ref: actDXRef, inPlace: true})

func actGrad(g *gradients, in Instr) {
	dx := g.like(Value(in.In[0]), g.at(Value(in.In[0])).Cols)
	g.emit(opActDX, Instr{Out: results(dx), In: reads(g.total(in.Out[0]), Value(in.In[0])), I: in.I})
	g.sum(in.In[0], dx)
}

func actDXRef(s *step, in *Instr) {
	s.each2(in, func(dy, x float32) float32 { return dy * float32(Act(in.I[0]).slope(float64(x))) })
}

// each2 computes out0 = f(in0, in1) for every element.
func (s *step) each2(in *Instr, f func(x, y float32) float32) {
	for r := range s.count(in.Out[0]) {
		x, y, z := s.row(in.In[0], r), s.row(in.In[1], r), s.row(in.Out[0], r)
		for i := range z {
			z[i] = f(x[i], y[i])
		}
	}
}

// slope returns the derivative of the function at x.
func (a Act) slope(x float64) float64 {
	switch a {
	case SiLU:
		s := sigmoid(x)
		return s * (1 + x*(1-s))
	case GELUTanh:
		const c = 0.79788456080286535588 // sqrt(2/pi)
		t := math.Tanh(c * (x + 0.044715*x*x*x))
		return (1+t)/2 + x/2*(1-t*t)*c*(1+3*0.044715*x*x)
	case GELUErf:
		return (1+math.Erf(x/math.Sqrt2))/2 + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	case ReLU:
		if x > 0 {
			return 1
		}
		return 0
	}
	t := math.Tanh(x)
	return 1 - t*t
}

// GLU_DX: out0 dgate = dy * act'(gate) * up, out1 dup = dy * act(gate), elementwise; of
// SwiGLUClamped the derivatives of its formula, 0 where it clamps.
//
//	in0 dy, in1 gate, in2 up [n, F] ; i0 Act ; SwiGLUClamped: f0 alpha, f1 limit
//
// out0 may be in0.
var opGLUDX = register(op{name: "glu_dx", code: 30, ref: gluDXRef, inPlace: true})

func gluGrad(g *gradients, in Instr) {
	cols := g.at(Value(in.In[0])).Cols
	dgate, dup := g.like(Value(in.In[0]), cols), g.like(Value(in.In[0]), cols)
	g.emit(opGLUDX, Instr{
		Out: results(dgate, dup), In: reads(g.total(in.Out[0]), Value(in.In[0]), Value(in.In[1])), I: in.I, F: in.F,
	})
	g.sum(in.In[0], dgate)
	g.sum(in.In[1], dup)
}

func gluDXRef(s *step, in *Instr) {
	for r := range s.count(in.Out[0]) {
		dy, gate, up := s.row(in.In[0], r), s.row(in.In[1], r), s.row(in.In[2], r)
		dgate, dup := s.row(in.Out[0], r), s.row(in.Out[1], r)
		for i, d := range dy {
			a, b := gluSlopes(Act(in.I[0]), gate[i], up[i], in.F[0], in.F[1])
			dgate[i], dup[i] = d*a, d*b
		}
	}
}

// gluSlopes returns the derivatives by gate and by up.
func gluSlopes(kind Act, gate, up, alpha, limit float32) (dgate, dup float32) {
	if kind != SwiGLUClamped {
		return float32(kind.slope(float64(gate))) * up, float32(kind.of(float64(gate)))
	}
	g, u, a := float64(min(gate, limit)), float64(min(max(up, -limit), limit)), float64(alpha)
	s := sigmoid(a * g)
	if gate <= limit {
		dgate = float32(s * (1 + a*g*(1-s)) * (u + 1))
	}
	if up >= -limit && up <= limit {
		dup = float32(g * s)
	}
	return dgate, dup
}

// SOFTCAP_DX: out0 = in0 * (1 - (in1/f0)^2), with in1 = y the result of SOFTCAP. out0 may
// be in0.
var opSoftcapDX = register(op{name: "softcap_dx", code: 31, ref: softcapDXRef, inPlace: true})

func softcapGrad(g *gradients, in Instr) {
	dx := g.like(Value(in.In[0]), g.at(Value(in.In[0])).Cols)
	g.emit(opSoftcapDX, Instr{Out: results(dx), In: reads(g.total(in.Out[0]), Value(in.Out[0])), F: in.F})
	g.sum(in.In[0], dx)
}

func softcapDXRef(s *step, in *Instr) {
	s.each2(in, func(dy, y float32) float32 {
		t := y / in.F[0]
		return dy * (1 - float32(t*t))
	})
}

func scaleGrad(g *gradients, in Instr) { g.sum(in.In[0], g.Scale(g.total(in.Out[0]), in.F[0])) }

func addGrad(g *gradients, in Instr) {
	dz := g.total(in.Out[0])
	g.sum(in.In[0], dz)
	if in.F[0] != 1 && g.needs(in.In[1]) {
		dz = g.Scale(dz, in.F[0])
	}
	g.sum(in.In[1], dz)
}
