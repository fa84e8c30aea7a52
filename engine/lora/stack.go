package lora

import (
	"fmt"
	"slices"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// Stack is a number of adapters laid side by side for one program: adapter i is number
// i+1 in a batch (kernels.Batch.Adapters). Its memory is native and lives until Close,
// which must not come before the program's.
type Stack struct {
	weights map[string]kernels.LowRank
	bufs    []*kernels.Buf
}

// NewStack lays out adapters of the model in src, in the type that each weight asks for;
// table computes what DoRA's need to know of the weights.
func NewStack(table *kernels.Table, src quant.Source, adapters []*Adapter) (*Stack, error) {
	s := &Stack{weights: map[string]kernels.LowRank{}}
	for _, w := range src.Infos() {
		parts, rank := partsOf(adapters, w.Name)
		if rank == 0 {
			continue
		}
		if err := s.add(table, src, w, parts, rank); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// partsOf returns each adapter's share of a weight and the largest rank, padded.
func partsOf(adapters []*Adapter, weight string) (parts []*Part, rank int) {
	for _, a := range adapters {
		p := a.Part(weight)
		if p != nil {
			rank = max(rank, PaddedRank(p.Rank))
		}
		parts = append(parts, p)
	}
	return parts, rank
}

// PaddedRank returns the rank that a part of a rank has in a program.
func PaddedRank(rank int) int {
	return (rank + kernels.RankMultiple - 1) / kernels.RankMultiple * kernels.RankMultiple
}

// Of returns the adapters of a weight, for kernels.Builder.Adapt.
func (s *Stack) Of(w kernels.Tensor) kernels.LowRank { return s.weights[w.Name] }

// Bytes returns the memory of all adapters.
func (s *Stack) Bytes() (n int64) {
	for _, b := range s.bufs {
		n += int64(len(b.Bytes()))
	}
	return n
}

// Close gives the memory back.
func (s *Stack) Close() {
	for _, b := range s.bufs {
		b.Free()
	}
	*s = Stack{}
}

func (s *Stack) add(table *kernels.Table, src quant.Source, w quant.Tensor, parts []*Part, rank int) error {
	d, n, out, in := DType(w.DType), len(parts), w.Rows(), w.Cols()
	a, err := s.take(d, w.Name+" A", n, rank, in)
	if err != nil {
		return err
	}
	b, err := s.take(d, w.Name+" B", n, out, rank)
	if err != nil {
		return err
	}
	l := kernels.LowRank{A: a, B: b, Scale: make([]float32, n)}
	for i, p := range parts {
		if p == nil {
			continue
		}
		if p.In != in || p.Out != out {
			return fmt.Errorf("an adapter has %d outputs and %d inputs for %q, whose shape is %v", p.Out, p.In, w.Name, w.Shape)
		}
		l.Scale[i] = p.Scale
		put(a, i*rank*in, p.A)
		for o := range out {
			put(b, (i*out+o)*rank, p.B[o*p.Rank:][:p.Rank])
		}
	}
	if slices.ContainsFunc(parts, hasMagnitude) {
		if w, err = src.Tensor(w.Name); err == nil {
			err = s.addLengths(table, w, parts, &l)
		}
	}
	s.weights[w.Name] = l
	return err
}

func hasMagnitude(p *Part) bool { return p != nil && p.Magnitude != nil }

// addLengths completes l with Magnitude and Norms, ones where a part has none.
func (s *Stack) addLengths(table *kernels.Table, w quant.Tensor, parts []*Part, l *kernels.LowRank) (err error) {
	n, out := len(parts), w.Rows()
	norms, err := Norms(table, w, *l)
	if err != nil {
		return err
	}
	if l.Magnitude, err = s.take(quant.F32, w.Name+" magnitudes", n, out); err != nil {
		return err
	}
	if l.Norms, err = s.take(quant.F32, w.Name+" norms", n, out); err != nil {
		return err
	}
	ones := slices.Repeat([]float32{1}, out)
	for i, p := range parts {
		magnitude, own := ones, ones
		if hasMagnitude(p) {
			magnitude, own = p.Magnitude, norms[i*out:][:out]
		}
		put(l.Magnitude, i*out, magnitude)
		put(l.Norms, i*out, own)
	}
	return nil
}

// Norms returns the lengths [N, O] of the rows of w [O, K] and what each of l's adapters
// adds to them; the same bits on every table.
func Norms(table *kernels.Table, w quant.Tensor, l kernels.LowRank) ([]float32, error) {
	b := kernels.NewBuilder(kernels.ActBF16, kernels.KVF32)
	b.Output(b.AdaptedNorms(l, w))
	p := b.Program()
	defer p.Close()
	r, err := kernels.NewRunner(p, table, kernels.Limits{Tokens: 1, Seqs: 1})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	one := kernels.Batch{Tokens: []int32{0}, Positions: []int32{0}, RowStart: []int32{0, 1}, SeqLen: []int32{1}}
	if err := r.Run(&one); err != nil {
		return nil, err
	}
	norms, _, _ := r.Output()
	return slices.Clone(norms), nil
}

func (s *Stack) take(d quant.DType, name string, shape ...int) (kernels.Tensor, error) {
	t := kernels.Tensor{Name: name, DType: d, Shape: shape}
	buf, err := kernels.NewBuf(t.Elems() * d.BlockBytes())
	if err != nil {
		return t, fmt.Errorf("cannot hold the adapters: %w", err)
	}
	s.bufs = append(s.bufs, buf)
	t.Data = buf.Bytes()[:t.Elems()*d.BlockBytes()]
	return t, nil
}

// put writes values from element at of t on, rounded half to even where t is BF16.
func put(t kernels.Tensor, at int, values []float32) {
	size := t.DType.BlockBytes()
	if err := quant.Quantize(t.DType, t.Data[at*size:][:len(values)*size], values, nil); err != nil {
		panic(fmt.Sprintf("BUG: %v cannot be written: %v", t.DType, err))
	}
}
