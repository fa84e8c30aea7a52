package sample

// item is something to be chosen by rank: smaller keys first, then smaller ids.
type item struct {
	key    float64
	weight float64
	id     int32
}

func (a item) before(b item) bool {
	return a.key < b.key || a.key == b.key && a.id < b.id
}

// cut returns the last of the first items, by rank, that are needed to reach mass: the
// one at which the sum of weights first is at least mass, or the last of all. It
// reorders items, of which there must be one. This is quickselect by weight: linear
// time where a sort of a whole vocabulary would show.
func cut(items []item, mass float64) item {
	sum := 0.0
	for {
		at, left := partition(items)
		pivot := items[at]
		switch {
		case at > 0 && sum+left >= mass:
			items = items[:at]
		case sum+left+pivot.weight >= mass || at == len(items)-1:
			return pivot
		default:
			sum += left + pivot.weight
			items = items[at+1:]
		}
	}
}

// partition moves the items before some pivot to the front and returns the pivot's index
// and the sum of the weights in front of it.
func partition(items []item) (at int, left float64) {
	last := len(items) - 1
	m := middle(items, 0, last/2, last)
	items[m], items[last] = items[last], items[m]
	pivot := items[last]
	for i := range items[:last] {
		if items[i].before(pivot) {
			items[i], items[at] = items[at], items[i]
			left += items[at].weight
			at++
		}
	}
	items[at], items[last] = items[last], items[at]
	return at, left
}

// middle returns that of three indices whose item ranks between the others.
func middle(items []item, a, b, c int) int {
	if items[b].before(items[a]) {
		a, b = b, a
	}
	if items[c].before(items[b]) {
		b = c
		if items[b].before(items[a]) {
			b = a
		}
	}
	return b
}
