// Package relayout moves elements between two orders of the same array, described as
// plain data, so that the way back of every change of layout is the same data turned
// round.
package relayout

import "slices"

// Move says where each element of a box lies in two arrays. Extents are the box's
// sizes, From and To the strides (in elements) that a step along each axis takes in
// the two arrays, FromAt and ToAt the places of its first element.
type Move struct {
	Extents      []int
	From, To     []int
	FromAt, ToAt int
}

// Permute returns the move from a contiguous array of shape dims to the contiguous
// array whose axis i is dims' axis perm[i].
func Permute(dims, perm []int) Move {
	m := Move{Extents: slices.Clone(dims), From: strides(dims), To: make([]int, len(dims))}
	out := make([]int, len(dims))
	for i, p := range perm {
		out[i] = dims[p]
	}
	for i, s := range strides(out) {
		m.To[perm[i]] = s
	}
	return m
}

// Slice returns the move of n consecutive elements from place at of one array to
// place to of another.
func Slice(n, at, to int) Move {
	return Move{Extents: []int{n}, From: []int{1}, To: []int{1}, FromAt: at, ToAt: to}
}

// Inverse returns the move back.
func (m Move) Inverse() Move {
	return Move{Extents: m.Extents, From: m.To, To: m.From, FromAt: m.ToAt, ToAt: m.FromAt}
}

// Trivial reports whether the move keeps every element's place.
func (m Move) Trivial() bool {
	return m.FromAt == m.ToAt && slices.Equal(m.From, m.To)
}

// Copy moves the box's elements of size bytes each from src to dst, which must hold
// all places that the move names.
func (m Move) Copy(dst, src []byte, size int) {
	m.copy(dst[m.ToAt*size:], src[m.FromAt*size:], size, 0)
}

func (m Move) copy(dst, src []byte, size, axis int) {
	n, from, to := m.Extents[axis], m.From[axis]*size, m.To[axis]*size
	if axis == len(m.Extents)-1 {
		if from == size && to == size {
			copy(dst[:n*size], src)
			return
		}
		for i := range n {
			copy(dst[i*to:i*to+size], src[i*from:])
		}
		return
	}
	for i := range n {
		m.copy(dst[i*to:], src[i*from:], size, axis+1)
	}
}

// strides returns the steps along each axis of a contiguous array.
func strides(dims []int) []int {
	s := make([]int, len(dims))
	step := 1
	for i := len(dims) - 1; i >= 0; i-- {
		s[i] = step
		step *= dims[i]
	}
	return s
}
