package tokenizer

import "unicode/utf8"

// bpe is byte-pair encoding: a word starts as a row of units (bytes, or runes), and
// neighbours merge, lowest rank first and leftmost among equals, until none can.
//
// Besides the vocabulary's ids there may be virtual ones above them: units and
// products of merges that the vocabulary lacks. They spell out as their bytes.
type bpe struct {
	pairs     *pairTable
	byteUnits bool       // units are bytes, else runes
	ofByte    [256]int32 // unit of a byte (of an ASCII rune), -1 for none
	ofRune    map[string]int32
	ends      map[string]int32 // units at the end of a word, where they differ (suffix "</w>")
	whole     *wordTable       // words that are one token
	tokens    int32            // ids below are the vocabulary's
	virtual   []string         // what ids from tokens on spell
	fallback  [256]int32       // byte tokens, -1 where absent
	unk       int32            // -1: what cannot be spelled is dropped
	fuseUnk   bool             // a row of unknowns gives one
}

// shortWord is the number of units up to which looking through all pairs for the
// lowest rank beats a heap.
const shortWord = 40

// symbols is the working state of one word: parallel slices over its units.
type symbols struct {
	id, merged []int32  // the symbol at a unit; what it and its right neighbour make
	rank       []uint32 // of that pair; noRank at the last and at swallowed units
	prev, next []int32
	off        []int32 // where a unit starts in the word, and at last its end
	heap       []uint64
	pushes     int // entries that the heap has taken, for tests of the work done
}

func (m *bpe) encode(dst []int32, word string, sc *scratch) []int32 {
	k := keyOf(word)
	recent := sc.recent.at(k)
	if recent.is(k) {
		return append(dst, recent.ids[:recent.count]...)
	}
	mark := len(dst)
	if id := m.whole.get(word, k); id >= 0 {
		dst = append(dst, id)
	} else if dst = m.merge(dst, word, &sc.sym); !m.plain(sc.sym.id) {
		return dst
	}
	recent.put(k, dst[mark:])
	return dst
}

// plain reports whether symbols are the tokens of their word, whatever came before it.
func (m *bpe) plain(ids []int32) bool {
	for _, id := range ids {
		if id < 0 || id >= m.tokens {
			return false
		}
	}
	return true
}

// merge encodes a word unit by unit. Of a word of up to shortWord units it leaves the
// symbols in s.id.
func (m *bpe) merge(dst []int32, word string, s *symbols) []int32 {
	m.units(word, s)
	n := len(s.id)
	if n <= shortWord {
		m.mergeShort(s)
		for i, id := range s.id {
			dst = m.emit(dst, id, word[s.off[i]:s.off[i+1]])
		}
		return dst
	}
	m.mergeLong(s)
	for i := 0; i < n; i = int(s.next[i]) {
		dst = m.emit(dst, s.id[i], word[s.off[i]:s.off[i+1]])
	}
	return dst
}

// units fills id and off.
func (m *bpe) units(word string, s *symbols) {
	s.id, s.off = s.id[:0], s.off[:0]
	for i := 0; i < len(word); {
		id, w := m.unit(word[i:])
		s.id = append(s.id, id)
		s.off = append(s.off, int32(i))
		i += w
	}
	s.off = append(s.off, int32(len(word)))
	if n := len(s.id) - 1; m.ends != nil && n >= 0 {
		s.id[n] = -1
		if id, ok := m.ends[word[s.off[n]:]]; ok {
			s.id[n] = id
		}
	}
}

func (m *bpe) unit(s string) (id int32, width int) {
	if m.byteUnits || s[0] < utf8.RuneSelf {
		return m.ofByte[s[0]], 1
	}
	_, w := utf8.DecodeRuneInString(s)
	if id, ok := m.ofRune[s[:w]]; ok {
		return id, w
	}
	return -1, w
}

// mergeShort merges in place: after it id and off hold the symbols that remain.
func (m *bpe) mergeShort(s *symbols) {
	n := len(s.id)
	s.rank, s.merged = resize(s.rank, n), resize(s.merged, n)
	for i := range n - 1 {
		s.rank[i], s.merged[i] = m.pairs.get(s.id[i], s.id[i+1])
	}
	for n > 1 {
		best, at := noRank, 0
		for i, r := range s.rank[:n-1] {
			if r < best {
				best, at = r, i
			}
		}
		if best == noRank {
			break
		}
		s.id[at] = s.merged[at]
		copy(s.id[at+1:], s.id[at+2:n])
		copy(s.rank[at+1:], s.rank[at+2:n])
		copy(s.merged[at+1:], s.merged[at+2:n])
		copy(s.off[at+1:], s.off[at+2:n+1])
		n--
		if at > 0 {
			s.rank[at-1], s.merged[at-1] = m.pairs.get(s.id[at-1], s.id[at])
		}
		if at < n-1 {
			s.rank[at], s.merged[at] = m.pairs.get(s.id[at], s.id[at+1])
		}
	}
	s.id, s.off = s.id[:n], s.off[:n+1]
}

// mergeLong merges through a heap of rank << 32 | position over a doubly linked list;
// an entry is stale unless the pair at its position still has its rank.
func (m *bpe) mergeLong(s *symbols) {
	n := len(s.id)
	s.rank, s.merged = resize(s.rank, n), resize(s.merged, n)
	s.prev, s.next = resize(s.prev, n), resize(s.next, n)
	s.heap = s.heap[:0]
	for i := range n {
		s.prev[i], s.next[i] = int32(i-1), int32(i+1)
	}
	for i := range n {
		m.pairAt(s, i)
		if s.rank[i] != noRank {
			s.heap = append(s.heap, uint64(s.rank[i])<<32|uint64(i))
		}
	}
	s.pushes = len(s.heap)
	heapify(s.heap)
	for len(s.heap) > 0 {
		var top uint64
		top, s.heap = heapPop(s.heap)
		i := int(uint32(top))
		if s.rank[i] != uint32(top>>32) {
			continue
		}
		s.id[i] = s.merged[i]
		gone := s.next[i]
		s.rank[gone] = noRank
		s.next[i] = s.next[gone]
		if int(s.next[i]) < n {
			s.prev[s.next[i]] = int32(i)
		}
		m.repair(s, i)
		if s.prev[i] >= 0 {
			m.repair(s, int(s.prev[i]))
		}
	}
}

// pairAt looks up the pair that the symbol at i makes with its right neighbour.
func (m *bpe) pairAt(s *symbols, i int) {
	s.rank[i] = noRank
	if next := s.next[i]; int(next) < len(s.id) {
		s.rank[i], s.merged[i] = m.pairs.get(s.id[i], s.id[next])
	}
}

func (m *bpe) repair(s *symbols, i int) {
	if m.pairAt(s, i); s.rank[i] != noRank {
		s.pushes++
		s.heap = heapPush(s.heap, uint64(s.rank[i])<<32|uint64(i))
	}
}

// emit appends a symbol; text is what a unit without an id stood for.
func (m *bpe) emit(dst []int32, id int32, text string) []int32 {
	if id >= 0 && id < m.tokens {
		return append(dst, id)
	}
	if id >= m.tokens {
		text = m.virtual[id-m.tokens]
	}
	mark := len(dst)
	for i := range len(text) {
		b := m.fallback[text[i]]
		if b < 0 {
			return m.appendUnk(dst[:mark])
		}
		dst = append(dst, b)
	}
	return dst
}

func (m *bpe) appendUnk(dst []int32) []int32 {
	if m.unk < 0 || m.fuseUnk && len(dst) > 0 && dst[len(dst)-1] == m.unk {
		return dst
	}
	return append(dst, m.unk)
}

// addVirtual returns the id under which a symbol that is no token goes.
func (m *bpe) addVirtual(text string) int32 {
	m.virtual = append(m.virtual, text)
	return m.tokens + int32(len(m.virtual)) - 1
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
