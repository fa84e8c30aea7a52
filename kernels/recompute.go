package kernels

// again appends instructions from ... to-1 a second time, with results of their own, and
// returns where the copies begin and end. What they read from before is what the first
// ones read; the gradients of the first ones' results become those of the copies'.
func (g *gradients) again(from, to int) (begin, end int) {
	begin = len(g.p.Instrs)
	twin := map[int32]int32{}
	for _, in := range g.p.Instrs[from:to:to] {
		for i, v := range in.In {
			in.In[i] = g.twinOf(twin, v)
		}
		for i, v := range in.Out {
			if v >= 0 {
				twin[v] = int32(g.add(g.p.Operands[v]))
				in.Out[i] = twin[v]
			}
		}
		g.p.Instrs = append(g.p.Instrs, in)
	}
	g.adopt(twin)
	return begin, len(g.p.Instrs)
}

// twinOf returns the copy of v, of a view that of its base; v where it was not copied.
func (g *gradients) twinOf(twin map[int32]int32, v int32) int32 {
	if v < 0 {
		return v
	}
	if t, ok := twin[v]; ok {
		return t
	}
	o := g.p.Operands[v]
	base, ok := twin[int32(o.Base)]
	if o.Kind != View || !ok {
		return v
	}
	o.Base = Value(base)
	twin[v] = int32(g.add(o))
	return twin[v]
}

// adopt gives the copies their originals' gradients, and the need of them.
func (g *gradients) adopt(twin map[int32]int32) {
	for v, t := range twin {
		g.needed[Value(t)] = g.needed[Value(v)]
		if dv, ok := g.of[Value(v)]; ok {
			g.of[Value(t)] = dv
		}
	}
}
