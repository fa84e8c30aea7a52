package bpe

// candidate is a pair with the count that it had when it was queued.
type candidate struct {
	count       int64
	left, right int32
	pair        int32
}

// before is the order of merges.
func (a *candidate) before(b *candidate) bool {
	switch {
	case a.count != b.count:
		return a.count > b.count
	case a.left != b.left:
		return a.left < b.left
	}
	return a.right < b.right
}

// queue is a binary heap of candidates, the next merge on top. It is written out because
// container/heap's calls through an interface cost more than the comparisons.
type queue []candidate

func (q *queue) push(c candidate) {
	h := append(*q, c)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !c.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = c
	*q = h
}

func (q *queue) pop() (top candidate, ok bool) {
	h := *q
	if len(h) == 0 {
		return candidate{}, false
	}
	top = h[0]
	last := h[len(h)-1]
	h = h[:len(h)-1]
	*q = h
	if len(h) > 0 {
		h.sink(last)
	}
	return top, true
}

// sink places c, starting at the top, whose candidate is gone.
func (q queue) sink(c candidate) {
	i := 0
	for {
		child := 2*i + 1
		if child >= len(q) {
			break
		}
		if child+1 < len(q) && q[child+1].before(&q[child]) {
			child++
		}
		if !q[child].before(&c) {
			break
		}
		q[i] = q[child]
		i = child
	}
	q[i] = c
}
