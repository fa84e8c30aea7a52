package kernels

import (
	"fmt"
	"slices"
)

// Recompute says which results of a layer are computed a second time before its gradient
// reads them, instead of being kept since the forward pass (Chen et al. 2016). Only what
// the gradient reads is computed again; the bits stay the same.
type Recompute uint8

const (
	// RecomputeNone keeps all that the gradient reads.
	RecomputeNone Recompute = iota
	// RecomputeLight keeps no norms, no activation functions and no packed activations: all
	// that comes again without a product.
	RecomputeLight
	// RecomputeFFN keeps no norms, no packed activations and nothing wider than the
	// residual stream, which are the feed-forward's inner values: two of three products of a
	// gated one come again, for half of the memory.
	RecomputeFFN
	// RecomputeBlock keeps a layer's input only.
	RecomputeBlock
)

var recomputeNames = [...]string{"none", "light", "ffn", "block"}

// RecomputeUsage explains the command line's --recompute.
const RecomputeUsage = "what is computed again for the gradient, for less memory: none, light (norms, activation functions, packed activations), ffn (norms and the feed-forward's inner values) or block (all but a layer's input)"

// String returns the name of the command line's --recompute.
func (r Recompute) String() string { return recomputeNames[r] }

// ParseRecompute returns what a name on the command line means.
func ParseRecompute(name string) (Recompute, error) {
	if i := slices.Index(recomputeNames[:], name); i >= 0 {
		return Recompute(i), nil
	}
	return 0, fmt.Errorf("%q is none of none, light, ffn and block", name)
}

// layer appends the gradients of instructions from ... to-1, and before them once more
// what they read but is not kept.
func (g *gradients) layer(from, to int) {
	begin := len(g.p.Instrs)
	g.reverse(from, to)
	if g.Recompute == RecomputeNone {
		return
	}
	emitted := slices.Clone(g.p.Instrs[begin:])
	g.p.Instrs = g.p.Instrs[:begin]
	twins := g.again(from, to, emitted)
	for _, in := range emitted {
		g.p.Instrs = append(g.p.Instrs, g.readTwins(twins, in))
	}
}

// again appends those instructions of from ... to-1 whose results emitted reads and are
// not kept, and returns the results' copies.
func (g *gradients) again(from, to int, emitted []Instr) map[int32]int32 {
	makers := map[Value]int{} // of what is not kept
	for i := from; i < to; i++ {
		for _, v := range g.p.Instrs[i].Out {
			if v >= 0 && !g.kept(&g.p.Instrs[i], v) {
				makers[g.p.root(Value(v))] = i
			}
		}
	}
	wanted := map[int]bool{}
	for i := range emitted {
		g.want(wanted, makers, &emitted[i])
	}
	twins := map[int32]int32{}
	for i := from; i < to; i++ {
		if wanted[i] {
			in := g.readTwins(twins, g.p.Instrs[i])
			for j, v := range in.Out {
				if v >= 0 {
					twins[v] = int32(g.add(g.p.Operands[v]))
					in.Out[j] = twins[v]
				}
			}
			g.p.Instrs = append(g.p.Instrs, in)
		}
	}
	return twins
}

// want marks the makers of what in reads, and of what those read.
func (g *gradients) want(wanted map[int]bool, makers map[Value]int, in *Instr) {
	for _, v := range in.In {
		if v < 0 {
			continue
		}
		if i, ok := makers[g.p.root(Value(v))]; ok && !wanted[i] {
			wanted[i] = true
			g.want(wanted, makers, &g.p.Instrs[i])
		}
	}
}

// kept reports whether result v of in stays in memory until the gradient.
func (g *gradients) kept(in *Instr, v int32) bool {
	switch {
	case in.Op == opAdaptedNorms.code: // small, and dear to make
		return true
	case g.Recompute == RecomputeBlock:
		return false
	}
	cheap := in.Op == opRMSNorm.code || in.Op == opLayerNorm.code || in.Op == opPack.code
	if g.Recompute == RecomputeLight {
		return !cheap && in.Op != opAct.code && in.Op != opGLU.code
	}
	o := g.at(Value(v))
	return !cheap && o.Rows*o.Cols <= g.stream
}

// readTwins returns in with the copies of what it reads.
func (g *gradients) readTwins(twins map[int32]int32, in Instr) Instr {
	for i, v := range in.In {
		in.In[i] = g.twinOf(twins, v)
	}
	return in
}

// twinOf returns the copy of v, of a view that of its base; v where it was not copied.
func (g *gradients) twinOf(twins map[int32]int32, v int32) int32 {
	if v < 0 {
		return v
	}
	if t, ok := twins[v]; ok {
		return t
	}
	o := g.p.Operands[v]
	base, ok := twins[int32(o.Base)]
	if o.Kind != View || !ok {
		return v
	}
	o.Base = Value(base)
	twins[v] = int32(g.add(o))
	return twins[v]
}
