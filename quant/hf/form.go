package hf

import (
	"fmt"
	"slices"

	"github.com/ingot-llm/ingot/quant/bounds"
	"github.com/ingot-llm/ingot/quant/relayout"
)

// form says how a tensor of Hugging Face lies in GGUF.
type form int

const (
	same    form = iota
	onePlus      // 1 + w
	turned       // the last two axes change places (GPT-2's Conv1D, gpt-oss's experts)
	perHead      // rows [heads, 3, d] become [3, heads, d] (GPT-NeoX's fused q, k, v)
	expert       // one expert's matrix of GGUF's stack
	gateOf       // the even columns of [experts, in, 2*ff], turned; of a bias, its even elements
	upOf         // the odd ones
)

// model holds the sizes that forms and names need.
type model struct {
	layers, heads, experts int
}

// link ties a box of elements of one Hugging Face tensor to one of a GGUF tensor.
type link struct {
	form      form
	hf, gguf  string
	hfShape   []int
	ggufShape []int
	toGGUF    relayout.Move
	expert    int
}

// fromHF makes the link for a Hugging Face tensor of that shape.
func (l *link) fromHF(shape []int, m model) error {
	l.hfShape = shape
	l.ggufShape = slices.Clone(shape)
	n := len(shape)
	switch l.form {
	case turned:
		if n >= 2 {
			l.ggufShape[n-1], l.ggufShape[n-2] = shape[n-2], shape[n-1]
		}
	case expert:
		l.ggufShape = append([]int{m.experts}, shape...)
	case gateOf, upOf:
		if shape[n-1]%2 != 0 {
			return fmt.Errorf("tensor %q of shape %v has no gate and up halves", l.hf, shape)
		}
		l.ggufShape[n-1] /= 2
		if n == 3 {
			l.ggufShape[1], l.ggufShape[2] = l.ggufShape[2], l.ggufShape[1]
		}
	}
	return l.move(m)
}

// fromGGUF makes the link for a GGUF tensor of that shape.
func (l *link) fromGGUF(shape []int, m model) error {
	l.ggufShape = shape
	l.hfShape = slices.Clone(shape)
	n := len(shape)
	switch l.form {
	case turned:
		if n >= 2 {
			l.hfShape[n-1], l.hfShape[n-2] = shape[n-2], shape[n-1]
		}
	case expert:
		if n < 2 || shape[0] != m.experts {
			return fmt.Errorf("tensor %q of shape %v is no stack of %d experts", l.gguf, shape, m.experts)
		}
		l.hfShape = shape[1:]
	case gateOf, upOf:
		if n == 3 {
			l.hfShape[1], l.hfShape[2] = shape[2], shape[1]
		}
		l.hfShape[n-1] *= 2
	}
	return l.move(m)
}

// move fills in toGGUF from the two shapes.
func (l *link) move(m model) error {
	n, ok := bounds.Mul(l.hfShape...)
	if !ok {
		return fmt.Errorf("tensor %q of shape %v is too large", l.hf, l.hfShape)
	}
	rank := len(l.hfShape)
	switch l.form {
	case same, onePlus:
		l.toGGUF = relayout.Slice(n, 0, 0)
	case expert:
		l.toGGUF = relayout.Slice(n, 0, l.expert*n)
	case turned:
		l.toGGUF = relayout.Slice(n, 0, 0)
		if rank >= 2 {
			perm := []int{0, 1, 2, 3, 4, 5, 6, 7}[:rank]
			perm[rank-1], perm[rank-2] = perm[rank-2], perm[rank-1]
			l.toGGUF = relayout.Permute(l.hfShape, perm)
		}
	case perHead:
		rows := l.hfShape[0]
		if m.heads == 0 || rows%(3*m.heads) != 0 {
			return fmt.Errorf("tensor %q has %d rows, which are not q, k and v of %d heads", l.hf, rows, m.heads)
		}
		l.toGGUF = relayout.Permute([]int{m.heads, 3, rows / 3 / m.heads, n / rows}, []int{1, 0, 2, 3})
	case gateOf, upOf:
		return l.halves(rank)
	}
	return nil
}

// halves moves the even or odd elements of the last axis.
func (l *link) halves(rank int) error {
	s := l.hfShape
	switch rank {
	case 2:
		half := s[1] / 2
		l.toGGUF = relayout.Move{Extents: []int{s[0], half}, From: []int{s[1], 2}, To: []int{half, 1}}
	case 3:
		half := s[2] / 2
		l.toGGUF = relayout.Move{
			Extents: []int{s[0], half, s[1]},
			From:    []int{s[1] * s[2], 2, s[2]}, To: []int{half * s[1], s[1], 1},
		}
	default:
		return fmt.Errorf("tensor %q has shape %v, want [experts, in, out] or [experts, out]", l.hf, s)
	}
	if l.form == upOf {
		l.toGGUF.FromAt = 1
	}
	return nil
}
