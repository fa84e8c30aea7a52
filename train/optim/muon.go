package optim

import (
	"fmt"
	"math"
	"slices"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/train/param"
)

// Muon (Jordan et al. 2024) changes hidden matrices, of stacked experts each by itself, by
// the orthogonal matrix next to their Nesterov momentum; embeddings, head, norms and
// biases are AdamW's. With the gradient g and the step's share of the peak rate r,
//
//	b = Momentum b + (1-Momentum) g        u = Momentum b + (1-Momentum) g
//	w = w (1 - r Decay) - r sqrt(max(1, rows/cols)) orthogonal(u)
//
// With MatchAdamW the factor is 0.2 sqrt(max(rows, cols)), which gives the step the size of
// AdamW's: its rate and decay then serve for both (Liu et al. 2025, arXiv 2502.16982).
// One goroutine; Close frees the state.
type Muon struct {
	Rate     float64 // peak, of matrices
	Momentum float64
	Decay    float64
	// MatchAdamW chooses the factor.
	MatchAdamW bool
	Rest       *AdamW

	set     *param.Set
	hidden  []hidden
	momenta []momentum
	buf     *kernels.Buf
	byShape map[[2]int]*kernels.Orthogonalizer
}

// hidden is a matrix, one of a parameter that stacks them, with its momentum, [rows, cols].
type hidden struct {
	name                   string
	master, grad, momentum []float32
	rounded                []uint16 // nil without a copy
	rows, cols             int
}

// momentum is that of a whole parameter.
type momentum struct {
	name   string
	values []float32
}

// notHidden are matrices that are no part of a layer.
var notHidden = []string{"token_embd.weight", "position_embd.weight", "token_types.weight", "output.weight", "cls.output.weight"}

func isHidden(p *param.Param) bool {
	return !p.Frozen() && p.Matrix() && !slices.Contains(notHidden, p.Name)
}

// NewMuon returns an optimizer with the rate 0.02, momentum 0.95 and decay 0.01 for
// matrices, and NewAdamW's settings for the rest.
func NewMuon(set *param.Set, table *kernels.Table) (*Muon, error) {
	rest, err := newAdamW(set, table, func(p *param.Param) bool { return !isHidden(p) })
	if err != nil {
		return nil, err
	}
	m := &Muon{Rate: 0.02, Momentum: 0.95, Decay: 0.01, Rest: rest, set: set, byShape: map[[2]int]*kernels.Orthogonalizer{}}
	if err := m.allocate(table); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Muon) allocate(table *kernels.Table) (err error) {
	total := 0
	for _, p := range m.set.Params() {
		if isHidden(p) {
			total += aligned(p.Elems())
		}
	}
	if m.buf, err = kernels.NewBuf(4 * total); err != nil {
		return fmt.Errorf("momentum of %d elements: %w", total, err)
	}
	all := m.buf.Floats()
	for _, p := range m.set.Params() {
		if !isHidden(p) {
			continue
		}
		m.momenta = append(m.momenta, momentum{p.Name, all[:p.Elems()]})
		m.hidden = append(m.hidden, matrices(p, all)...)
		all = all[aligned(p.Elems()):]
		if s := m.hidden[len(m.hidden)-1].shape(); m.byShape[s] == nil {
			if m.byShape[s], err = kernels.NewOrthogonalizer(table, s[0], s[1]); err != nil {
				delete(m.byShape, s)
				return err
			}
		}
	}
	return nil
}

// matrices returns the matrices of a parameter: itself, or each expert's of a stack.
func matrices(p *param.Param, momentum []float32) (all []hidden) {
	rows, cols := p.Shape[len(p.Shape)-2], p.Shape[len(p.Shape)-1]
	for at := 0; at < p.Elems(); at += rows * cols {
		h := hidden{p.Name, p.Master[at:][:rows*cols], p.Grad[at:][:rows*cols], momentum[at:][:rows*cols], nil, rows, cols}
		if r := p.Rounded(); r != nil {
			h.rounded = r[at:][:rows*cols]
		}
		all = append(all, h)
	}
	return all
}

// shape returns rows and columns with the fewer first.
func (h *hidden) shape() [2]int { return [2]int{min(h.rows, h.cols), max(h.rows, h.cols)} }

// Close frees the state.
func (m *Muon) Close() {
	m.Rest.Close()
	for _, o := range m.byShape {
		o.Close()
	}
	if m.buf != nil {
		m.buf.Free()
	}
}

// Norm returns the length of all gradients together, times scale.
func (m *Muon) Norm(scale float64) float64 { return m.Rest.Norm(scale) }

// Step changes the parameters as AdamW's Step says.
func (m *Muon) Step(share, scale, norm float64) error {
	for i := range m.hidden {
		h := &m.hidden[i]
		o := m.byShape[h.shape()]
		h.stage(o.X, float32(m.Momentum), float32(scale))
		direction, err := o.Run()
		if err != nil {
			return fmt.Errorf("muon of %s: %w", h.name, err)
		}
		h.apply(direction, m.Rate*share, m.Decay, m.factor(h))
	}
	return m.Rest.Step(share, scale, norm)
}

func (m *Muon) factor(h *hidden) float64 {
	if m.MatchAdamW {
		return 0.2 * math.Sqrt(float64(max(h.rows, h.cols)))
	}
	return math.Sqrt(max(1, float64(h.rows)/float64(h.cols)))
}

// stage takes the gradient into the momentum and writes u to x, with fewer rows than
// columns. The gradient becomes zero.
func (h *hidden) stage(x []float32, beta, scale float32) {
	rest := 1 - beta
	h.eachRow(func(r int) {
		grad, b := h.grad[r*h.cols:][:h.cols], h.momentum[r*h.cols:][:h.cols]
		for c, g := range grad {
			g *= scale
			b[c] = float32(beta*b[c]) + float32(rest*g)
			x[h.place(r, c)] = float32(beta*b[c]) + float32(rest*g)
		}
		clear(grad)
	})
}

// place returns where element (r, c) lies in the staged form.
func (h *hidden) place(r, c int) int {
	if h.rows > h.cols {
		return c*h.rows + r
	}
	return r*h.cols + c
}

// apply moves the parameter along direction, of the staged form.
func (h *hidden) apply(direction []float32, rate, decay, factor float64) {
	keep, step := float32(1-rate*decay), float32(rate*factor)
	h.eachRow(func(r int) {
		w := h.master[r*h.cols:][:h.cols]
		for c := range w {
			w[c] = float32(w[c]*keep) - float32(step*direction[h.place(r, c)])
		}
		if h.rounded != nil {
			quant.F32sToBF16s(h.rounded[r*h.cols:][:h.cols], w)
		}
	})
}

// eachRow calls f for every row, in several goroutines.
func (h *hidden) eachRow(f func(r int)) {
	inParts(h.rows, func(from, to int) {
		for r := from; r < to; r++ {
			f(r)
		}
	})
}

// State is AdamW's, and the momentum.
func (m *Muon) State(f func(name string, values []float32)) {
	for _, b := range m.momenta {
		f("b."+b.name, b.values)
	}
	m.Rest.State(f)
}

// Steps returns how many were made; SetSteps is for going on.
func (m *Muon) Steps() int     { return m.Rest.Steps() }
func (m *Muon) SetSteps(n int) { m.Rest.SetSteps(n) }
