package sched

// heap is a binary heap whose items know their place, so that any of them can be moved
// or removed in O(log n).
type heap[T ranked[T]] []T

// ranked is an item of a heap. before must be a strict total order; place returns where
// the heap keeps the item's index.
type ranked[T any] interface {
	before(T) bool
	place() *int
}

func (h *heap[T]) push(x T) {
	*h = append(*h, x)
	h.up(len(*h) - 1)
}

// remove takes the item at index i out.
func (h *heap[T]) remove(i int) {
	old := *h
	last := len(old) - 1
	x := old[last]
	var none T
	old[last] = none
	*h = old[:last]
	if i < last {
		(*h)[i] = x
		h.fix(i)
	}
}

// fix restores the order after the item at index i has changed.
func (h heap[T]) fix(i int) {
	h.down(h.up(i))
}

func (h heap[T]) up(i int) int {
	x := h[i]
	for i > 0 && x.before(h[(i-1)/2]) {
		h.set(i, h[(i-1)/2])
		i = (i - 1) / 2
	}
	h.set(i, x)
	return i
}

func (h heap[T]) down(i int) {
	x := h[i]
	for c := 2*i + 1; c < len(h); c = 2*i + 1 {
		if c+1 < len(h) && h[c+1].before(h[c]) {
			c++
		}
		if !h[c].before(x) {
			break
		}
		h.set(i, h[c])
		i = c
	}
	h.set(i, x)
}

func (h heap[T]) set(i int, x T) { h[i], *x.place() = x, i }
