package kernels

// PoolKind says how a sequence's rows become one.
type PoolKind uint8

const (
	PoolMean PoolKind = iota
	PoolFirst
	PoolLast
)

// POOL: out0 [S, D] from in0 [T, D]: the sum of the sequence's rows in order, divided by
// their number; or the first row; or the last.
//
//	i0 PoolKind
//
// The rows are those of this batch: a sequence to be pooled comes in one piece. The same
// bits in every table.
var opPool = register(op{name: "pool", code: 18, ref: poolRef})

func init() { opPool.grad = poolGrad }

func poolRef(s *step, in *Instr) {
	for seq := range s.batch.SeqLen {
		first, end := int(s.batch.RowStart[seq]), int(s.batch.RowStart[seq+1])
		y := s.row(in.Out[0], seq)
		switch PoolKind(in.I[0]) {
		case PoolFirst:
			copy(y, s.row(in.In[0], first))
		case PoolLast:
			copy(y, s.row(in.In[0], end-1))
		default:
			s.mean(y, in.In[0], first, end)
		}
	}
}

// mean writes the mean of rows first ... end-1 of x to y.
func (s *step) mean(y []float32, x int32, first, end int) {
	copy(y, s.row(x, first))
	for r := first + 1; r < end; r++ {
		for d, v := range s.row(x, r) {
			y[d] += v
		}
	}
	for d := range y {
		y[d] /= float32(end - first)
	}
}

// Pool returns one row per sequence of x [T, D], [S, D].
func (b *Builder) Pool(x Value, kind PoolKind) Value {
	b.need("pool", 0, x)
	o := *b.at(x)
	if o.Per != PerToken || o.Rows != 1 {
		misfit("pool: %s has not one row per token", b.p.shape(int32(x)))
	}
	y := b.add(Operand{Kind: Activation, Per: PerSeq, Rows: 1, Cols: o.Cols})
	b.emit(opPool, Instr{Out: results(y), In: reads(x), I: [8]int32{int32(kind)}})
	return y
}
