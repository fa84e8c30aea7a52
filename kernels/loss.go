package kernels

import "math"

// CROSS_ENTROPY: the loss of each row against its target, and its gradient.
//
//	out0 [r, V] f32 = softmax(in0) - onehot(target) ; out1 [r, 1] f32 = -log softmax(in0)[target]
//	in0 logits [r, V] f32 ; i0 the first row's number among the batch's Targets
//
// With m the maximum: log(sum exp(x - m)), the sum in 16 lanes (lanes.go), + m - x[target].
// out0 may be in0.
var opCrossEntropy = register(op{name: "cross_entropy", code: 35, ref: crossEntropyRef, inPlace: true})

func crossEntropyRef(s *step, in *Instr) {
	for r := range s.count(in.Out[0]) {
		target := s.batch.Targets[int(in.I[0])+r]
		x, dx := s.row(in.In[0], r), s.row(in.Out[0], r)
		s.row(in.Out[1], r)[0] = crossEntropy(dx, x, int(target))
	}
}

func crossEntropy(dx, x []float32, target int) float32 {
	m, own := float32(math.Inf(-1)), x[target]
	for _, v := range x {
		m = max(m, v)
	}
	for i, v := range x {
		dx[i] = exp(v - m)
	}
	total := sum(dx)
	for i := range dx {
		dx[i] *= 1 / total
	}
	dx[target] -= 1
	return float32(math.Log(float64(total))) + m - own
}

// Loss appends the cross-entropy of logits(h) [R, V] against the batch's Targets, for
// h [R, D], and the gradients of all trainable weights. It returns the loss [R, 1], the
// output of a program that trains; the gradient is that of the sum over the rows. logits
// is called once per window of rows and returns their logits: all of them never lie in
// memory. Windows are half as long where things are recomputed, to take less.
func (b *Builder) Loss(h Value, logits func(h Value) Value) Value {
	g, head := b.grads, len(b.p.Instrs)
	o := *b.at(h)
	g.stream = o.Cols
	loss := b.add(Operand{Kind: Activation, Per: o.Per, Rows: 1, Cols: 1})
	dh := b.like(h, o.Cols)
	g.mark(0, head)
	half := g.Recompute != RecomputeNone
	rows := o.Per.window(0, half).windowRows()
	for i := range (g.LogitRows + rows - 1) / rows {
		from := len(b.p.Instrs)
		part := b.window(h, i, half)
		y := logits(part)
		g.crossEntropy(y, b.window(loss, i, half), i*rows)
		g.windowGradient(part, b.window(dh, i, half), from)
	}
	if g.needs(int32(h)) {
		g.set(int32(h), dh)
		g.backward(head)
	}
	return loss
}

// Backward appends outputs(h) [R, V], for h [R, D], and the gradients of all trainable
// weights of whatever loss Upstream is the gradient of: of a pair's scores, of embeddings
// far apart in a batch. It returns outputs(h), the output of the program.
func (b *Builder) Backward(h Value, outputs func(h Value) Value) Value {
	g, head := b.grads, len(b.p.Instrs)
	y := outputs(h)
	g.stream = b.at(h).Cols
	o := *b.at(y)
	g.mark(0, len(b.p.Instrs))
	if !g.needs(int32(y)) {
		return y
	}
	g.set(int32(y), b.add(Operand{Name: "upstream", Kind: Gradient, Per: o.Per, Rows: o.Rows, Cols: o.Cols, Data: bytesOf(g.Upstream)}))
	g.reverse(head, len(b.p.Instrs))
	g.backward(head)
	return y
}

// windowGradient appends the gradients of the instructions from number from, those of a
// window's logits, and writes that of h to dh.
func (g *gradients) windowGradient(h, dh Value, from int) {
	to := len(g.p.Instrs)
	g.mark(from, to)
	g.reverse(from, to)
	if d := g.total(int32(h)); d >= 0 {
		g.emit(opScale, Instr{Out: results(dh), In: reads(d), F: [4]float32{1}})
		delete(g.of, h) // dh is the sum of them all
	}
}

// crossEntropy appends the loss of logits y, the first of which is the batch's row number
// first, and with it their gradient.
func (g *gradients) crossEntropy(y, loss Value, first int) {
	g.need("cross entropy", 0, y)
	dy := g.like(y, g.at(y).Cols)
	g.emit(opCrossEntropy, Instr{Out: results(dy, loss), In: reads(y), I: [8]int32{int32(first)}})
	g.set(int32(y), dy)
}

// window returns x's window i as a view.
func (b *Builder) window(x Value, i int, half bool) Value {
	o := *b.at(x)
	return b.add(Operand{Kind: View, DType: o.DType, Per: o.Per.window(i, half), Rows: o.Rows, Cols: o.Cols, Base: x})
}

// classes returns the number of classes that the program's losses choose from, 0
// without a loss.
func (p *Program) classes() int {
	for i := range p.Instrs {
		if in := &p.Instrs[i]; in.Op == opCrossEntropy.code {
			return p.Operands[in.In[0]].Cols
		}
	}
	return 0
}
