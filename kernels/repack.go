package kernels

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/ingot-llm/ingot/quant"
)

// interleaved is INGOT_INTERLEAVED: added to the type of a weight in that form.
const interleaved quant.DType = 1 << 16

// interleavable are the block types that have an interleaved form.
var interleavable = []quant.DType{
	quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.Q8_0, quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K,
	quant.IQ4_NL, quant.IQ4_XS, quant.MXFP4,
}

// interleaveRows is how many rows lie interleaved.
const interleaveRows = 16

// Load copies the weights of p to memory of its own on large pages, in the order in which
// a step reads them. The source of the weights is no longer read. No Runner of p may exist.
func (l *Library) Load(p *Program) error { return l.adopt(p, func(int32) bool { return false }) }

// Repack is Load for table t with the weights that only int8 products and embeddings read
// interleaved, and bf16 ones where t multiplies pairs of them: of each 16 rows, unit after unit (a number of 1, 2 or 4 bytes) lies side
// by side, so that a product reads one run of bytes in order and need not transpose
// them. The bits of every result stay the same; only t, or another native table if none is bf16, can run p afterwards.
func (l *Library) Repack(p *Program, t *Table) error {
	return l.adopt(p, func(v int32) bool { return p.interleaves(v, t) })
}

func (l *Library) adopt(p *Program, interleave func(v int32) bool) error {
	if l.err != nil {
		return fmt.Errorf("cannot copy the weights: %w", l.err)
	}
	weights := p.borrowed()
	places, size := layOut(p, weights)
	buf, err := NewBuf(size)
	if err != nil {
		return fmt.Errorf("no memory for a copy of the weights (--weights map needs none): %w", err)
	}
	p.owned, p.memory = append(p.owned, buf), buf
	for i, v := range weights {
		o := &p.Operands[v]
		to := buf.Bytes()[places[i]:][:len(o.Data)]
		if err := l.move(o, to, interleave(v)); err != nil {
			return fmt.Errorf("cannot copy %s: %w", o.Name, err)
		}
	}
	return nil
}

// borrowed returns the weights that lie in memory which p does not own, in the order in
// which its instructions first read them.
func (p *Program) borrowed() []int32 {
	var out []int32
	seen := map[int32]bool{}
	for i := range p.Instrs {
		for _, v := range p.Instrs[i].In {
			if v < 0 || seen[v] || p.Operands[v].Kind != Weight || p.owned.holds(p.Operands[v].Data) {
				continue
			}
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

// layOut gives each weight a place at a multiple of 64 bytes in one stretch of memory.
func layOut(p *Program, weights []int32) (places []int, size int) {
	for _, v := range weights {
		places = append(places, size)
		size += (len(p.Operands[v].Data) + 63) &^ 63
	}
	return places, size
}

// interleaves reports whether a product reads weight v, and every reader can take it
// interleaved.
func (p *Program) interleaves(v int32, t *Table) bool {
	o := &p.Operands[v]
	pairs := o.DType == quant.BF16 && o.Cols%2 == 0 && t.Name == pairsTable
	if o.Rows < interleaveRows || !pairs && !slices.Contains(interleavable, o.DType) {
		return false
	}
	product := false
	for i := range p.Instrs {
		in := &p.Instrs[i]
		if !slices.Contains(in.In[:], v) {
			continue
		}
		if !p.readsInterleaved(in, v) {
			return false
		}
		product = product || in.Op != opEmbed.code
	}
	return product
}

func (p *Program) readsInterleaved(in *Instr, v int32) bool {
	switch in.Op {
	case opEmbed.code:
		return true
	case opLinear.code:
		return in.In[1] == v && p.meetsInterleaved(in.In[0], v)
	case opExpertLinear.code: // an expert's rows must not share a group with the next one's
		return in.In[1] == v && p.meetsInterleaved(in.In[0], v) && in.I[3]%interleaveRows == 0
	}
	return false
}

// pairsTable is the one table whose bf16 products read interleaved weights.
const pairsTable = "avx512_bf16"

// meetsInterleaved reports whether activations x are of the form that meets weight v
// interleaved.
func (p *Program) meetsInterleaved(x, v int32) bool {
	want := PackInt8
	if p.Operands[v].DType == quant.BF16 {
		want = PackBF16
	}
	return p.Operands[x].DType == want
}

// move copies a weight to memory of its size, with all threads.
func (l *Library) move(o *Operand, to []byte, interleave bool) error {
	a := repackArgs{
		lib: l.handle, from: address(o.Data), to: address(to), rows: int64(o.Rows),
		stride: int64(o.DType.RowBytes(o.Cols)), dtype: o.DType,
	}
	if interleave {
		a.interleaved = 1
	}
	l.running.Lock()
	defer l.running.Unlock()
	err := callOnce(l.symbols.repack, &a)
	runtime.KeepAlive(o)
	if err == nil {
		o.Data, o.Interleaved = to, interleave
	}
	return err
}
