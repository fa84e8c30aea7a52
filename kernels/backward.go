package kernels

import (
	"slices"

	"github.com/ingot-llm/ingot/quant"
)

// Training asks a Builder for a program that trains: Loss then appends, behind the
// forward pass, the loss and the gradient of every trainable weight. The gradient
// program is derived operation by operation (op.grad) from the instructions that serve.
type Training struct {
	// LogitRows is the most rows of logits in a batch.
	LogitRows int
	// Gradient returns where the gradient of w is summed: w.Elems() elements of native
	// memory, which outlive the program; nil where w is frozen. A run adds to them.
	Gradient func(w Tensor) []float32
	// Recompute says what is computed again for the gradient instead of being kept.
	Recompute Recompute
	// Balance is the weight of the experts' balancing loss (Fedus et al. 2021), per
	// counted token and layer; 0 for none.
	Balance float32
	// Upstream, where it is given, is the gradient of a loss that the program does not know,
	// by the program's output [R, V] f32, row-major in native memory: Backward's instead of
	// Loss's. Who runs the program writes it before each run, for as many rows as there are.
	Upstream []float32
	// Noise, where it is given, is added to the embeddings of the tokens (Embed's): [T, D]
	// f32, row-major in native memory. Who runs the program writes it before each run, for as
	// many tokens as there are.
	Noise []float32
}

// Train makes b build a program that trains. It comes before the first operation.
func (b *Builder) Train(t Training) {
	b.grads = &gradients{Builder: b, Training: t, of: map[Value]Value{}, weightOf: map[Value]Value{}, needed: map[Value]bool{}}
}

// Trains reports whether the program trains: its output is then Loss's.
func (b *Builder) Trains() bool { return b.grads != nil }

// Layer marks the beginning of a layer, the unit of recomputation.
func (b *Builder) Layer() {
	if b.grads != nil {
		b.grads.layers = append(b.grads.layers, len(b.p.Instrs))
	}
}

// gradients is the state of a derivation.
type gradients struct {
	*Builder
	Training
	of       map[Value]Value // the gradient of an activation, as far as it is summed
	weightOf map[Value]Value // the Gradient operand of a weight
	needed   map[Value]bool  // activations, not views, that a trainable weight has a part in
	layers   []int           // first instruction of each layer
	stream   int             // columns of the residual stream
}

// weight returns the Gradient operand of weight w, -1 where it is absent or frozen.
func (g *gradients) weight(w int32) Value {
	if w < 0 || g.at(Value(w)).Kind != Weight {
		return -1
	}
	if v, ok := g.weightOf[Value(w)]; ok {
		return v
	}
	o, v := *g.at(Value(w)), Value(-1)
	if data := g.Gradient(Tensor{Name: o.Name, DType: o.DType, Shape: []int{o.Rows, o.Cols}, Data: o.Data}); data != nil {
		if len(data) != o.Rows*o.Cols {
			misfit("the gradient of %s has %d elements, not %d x %d", o.Name, len(data), o.Rows, o.Cols)
		}
		v = g.add(Operand{Name: o.Name, Kind: Gradient, Rows: o.Rows, Cols: o.Cols, Data: bytesOf(data)})
	}
	g.weightOf[Value(w)] = v
	return v
}

// needs reports whether the gradient of v is wanted.
func (g *gradients) needs(v int32) bool { return v >= 0 && g.needed[g.p.root(Value(v))] }

// mark notes, of the instructions from ... to-1 in order, which results depend on a
// trainable weight.
func (g *gradients) mark(from, to int) {
	for i := from; i < to; i++ {
		in := &g.p.Instrs[i]
		if !slices.ContainsFunc(in.In[:], func(v int32) bool { return g.needs(v) || g.weight(v) >= 0 }) {
			continue
		}
		for _, v := range slices.Concat(in.Out[:], cachesOf(in)) {
			if v >= 0 && g.at(Value(v)).DType != quant.I32 {
				g.needed[g.p.root(Value(v))] = true
			}
		}
	}
}

// cachesOf returns the caches that an instruction writes to.
func cachesOf(in *Instr) []int32 {
	if in.Op == opStoreKV.code {
		return in.In[2:4]
	}
	return nil
}

// sum adds dv to the gradient of v.
func (g *gradients) sum(v int32, dv Value) {
	if !g.needs(v) {
		return
	}
	if have, ok := g.of[Value(v)]; ok {
		dv = g.Add(have, dv, 1)
	}
	g.set(v, dv)
}

// soFar returns the gradient of v as far as it is summed, -1 where nothing is: for an
// operation that adds to it and then calls set.
func (g *gradients) soFar(v int32) Value {
	if have, ok := g.of[Value(v)]; ok {
		return have
	}
	return -1
}

func (g *gradients) set(v int32, dv Value) { g.of[Value(v)] = dv }

// total returns the whole gradient of v, that of its views included; -1 without one.
func (g *gradients) total(v int32) Value {
	if v < 0 {
		return -1
	}
	parts := g.views(v)
	if len(parts) == 0 {
		return g.soFar(v)
	}
	whole := g.concat(Value(v), parts)
	for _, view := range parts {
		delete(g.of, view)
	}
	if have := g.soFar(v); have >= 0 {
		whole = g.Add(have, whole, 1)
	}
	g.set(v, whole)
	return whole
}

// views returns the views of v that have a gradient.
func (g *gradients) views(v int32) (parts []Value) {
	for view := range g.p.Operands {
		if o := &g.p.Operands[view]; o.Kind == View && o.Base == Value(v) && g.soFar(int32(view)) >= 0 {
			parts = append(parts, Value(view))
		}
	}
	return parts
}

// reverse appends the gradients of instructions from ... to-1, the last one first.
func (g *gradients) reverse(from, to int) {
	for i := to - 1; i >= from; i-- {
		in := g.p.Instrs[i]
		if f := ops[in.Op].grad; f != nil && g.reached(&in) {
			f(g, in)
		}
	}
}

// reached reports whether a result of in has a gradient.
func (g *gradients) reached(in *Instr) bool {
	return slices.ContainsFunc(in.Out[:], func(v int32) bool { return v >= 0 && (g.soFar(v) >= 0 || len(g.views(v)) > 0) })
}

// backward appends the gradients of instructions 0 ... to-1, layer by layer.
func (g *gradients) backward(to int) {
	end := to
	for _, start := range slices.Backward(g.layers) {
		g.layer(start, end)
		end = start
	}
	g.reverse(0, end)
}
