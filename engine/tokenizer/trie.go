package tokenizer

// trie is a set of byte strings with a value each. Its edges lie in one open-addressed
// hash table, so a step is one probe whatever the alphabet. Node 0 is the root.
type trie struct {
	root   [256]int32 // children of the root, 0 for none
	slots  []edge
	value  []int32 // of each node, -1 for none
	used   int
	maxLen int
}

type edge struct {
	key   uint64 // node << 8 | byte; the root has its own table, so 0 is empty
	child int32
}

func newTrie() *trie { return &trie{slots: make([]edge, 64), value: []int32{-1}} }

func (t *trie) slot(key uint64) *edge {
	i := (key * 0x9E3779B97F4A7C15) >> 20
	for {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		if s.key == key || s.key == 0 {
			return s
		}
		i++
	}
}

// step returns the child of node along b, or 0.
func (t *trie) step(node int32, b byte) int32 {
	if node == 0 {
		return t.root[b]
	}
	return t.slot(uint64(node)<<8 | uint64(b)).child
}

// add gives s a value; the first value of a string stays.
func (t *trie) add(s string, value int32) {
	node := int32(0)
	for i := range len(s) {
		next := t.step(node, s[i])
		if next == 0 {
			next = int32(len(t.value))
			t.value = append(t.value, -1)
			t.link(node, s[i], next)
		}
		node = next
	}
	if t.value[node] < 0 && len(s) > 0 {
		t.value[node] = value
	}
	t.maxLen = max(t.maxLen, len(s))
}

func (t *trie) link(node int32, b byte, child int32) {
	if node == 0 {
		t.root[b] = child
		return
	}
	if 2*(t.used+1) > len(t.slots) {
		old := t.slots
		t.slots = make([]edge, 2*len(old))
		for _, e := range old {
			if e.key != 0 {
				*t.slot(e.key) = e
			}
		}
	}
	key := uint64(node)<<8 | uint64(b)
	*t.slot(key) = edge{key, child}
	t.used++
}

// longest returns the value and length of the longest member that starts s, or -1, 0.
func (t *trie) longest(s string) (value int32, n int) {
	value = -1
	for node, i := int32(0), 0; i < len(s); {
		if node = t.step(node, s[i]); node == 0 {
			break
		}
		i++
		if v := t.value[node]; v >= 0 {
			value, n = v, i
		}
	}
	return value, n
}
