package bpe

import (
	"fmt"
	"math"
	"slices"

	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// merger is the state of training. All words lie in one array of cells, a byte each,
// with a border before and after every word. A symbol is a row of cells:
//
//	cell   | border |  t  |  h  |  e  | border |          after t + h:
//	symbol |   -    |  t  |  h  |  e  |   -    |   ->   | - | th | -2 | e | - |
//
// The first cell of a symbol holds its id, the last one, if it is another, its negated
// length; so both neighbours of a symbol are found without a list. A pair knows the
// cells where it occurs or did occur: a place is stale unless its cell still names the
// pair. Counts are exact at all times, so that a merge touches only its own
// occurrences and their neighbours.
type merger struct {
	opt     Options
	tokens  []string
	ids     map[string]int32 // by text; -1 for texts that must not become tokens
	cells   []cell
	pairs   []pair
	index   pairIndex
	places  []place // linked lists, one per pair; the first is no place
	changed []int32 // pairs that have gained occurrences in this step
	queue   queue
	merges  []Merge
}

type cell struct {
	symbol int32 // see merger; border between words
	pair   int32 // the pair that the symbol makes with its right neighbour, or none
	weight int64 // how often the cell's word occurs
}

const (
	border = math.MinInt32
	none   = -1
)

type pair struct {
	left, right int32
	count       int64
	first, last uint32 // its places, 0 for none
	ranked      bool   // a merge rule is made of it
	changed     bool   // it is listed in merger.changed
}

type place struct{ cell, next uint32 }

func newMerger(words Words, opt Options) (*merger, error) {
	if err := opt.Check(); err != nil {
		return nil, err
	}
	tokens := opt.alphabet()
	opt.MinFrequency = max(1, opt.MinFrequency)
	m := &merger{opt: opt, tokens: tokens, ids: make(map[string]int32, opt.VocabSize), places: make([]place, 1), index: newPairIndex()}
	for id, text := range tokens[len(opt.Special):] {
		m.ids[text] = int32(len(opt.Special) + id)
	}
	for _, text := range opt.Special {
		m.ids[text] = none
	}
	if err := m.lay(words); err != nil {
		return nil, err
	}
	m.enqueue()
	return m, nil
}

// lay fills the cells with the words, in the order of their bytes: similar words lie
// near one another, which halves the time that memory takes.
func (m *merger) lay(words Words) error {
	size := 1
	order := make([]string, 0, len(words))
	for word := range words {
		size += len(word) + 1
		order = append(order, word)
	}
	if size > math.MaxInt32 {
		return fmt.Errorf("the distinct words hold %d bytes, more than %d: train on a part of the texts", size, math.MaxInt32)
	}
	slices.Sort(order)
	m.cells = make([]cell, 1, size)
	m.cells[0] = cell{symbol: border, pair: none}
	for _, word := range order {
		m.layWord(word, words[word])
	}
	return nil
}

func (m *merger) layWord(word string, weight int64) {
	for i := range len(word) {
		at := len(m.cells)
		m.cells = append(m.cells, cell{m.ids[word[i:i+1]], none, weight})
		if i > 0 {
			m.join(at - 1)
		}
	}
	m.cells = append(m.cells, cell{symbol: border, pair: none})
}

// step makes the next merge. It reports whether there was one.
func (m *merger) step() bool {
	for {
		best, ok := m.queue.pop()
		if !ok {
			return false
		}
		p := &m.pairs[best.pair]
		if p.count != best.count {
			m.push(best.pair)
			continue
		}
		id := m.product(p)
		if id == none {
			continue
		}
		if !p.ranked {
			p.ranked = true
			m.merges = append(m.merges, Merge{p.left, p.right, id, p.count})
		}
		m.mergeAll(best.pair, id)
		m.enqueue()
		return true
	}
}

// product returns the token that a pair joins to, a new one unless its text has an id;
// none where it must not be one.
func (m *merger) product(p *pair) int32 {
	text := m.tokens[p.left] + m.tokens[p.right]
	if id, ok := m.ids[text]; ok {
		return id
	}
	id := int32(len(m.tokens))
	if len(text) > maxTokenBytes || tokenizer.Reserved(text) {
		id = none
	} else {
		m.tokens = append(m.tokens, text)
	}
	m.ids[text] = id
	return id
}

// mergeAll merges all occurrences of a pair. Of a symbol with itself the occurrences
// overlap, and the leftmost of a row come first.
func (m *merger) mergeAll(p, id int32) {
	if m.pairs[p].left == m.pairs[p].right {
		m.sortPlaces(p)
	}
	at := m.pairs[p].first
	m.pairs[p].first, m.pairs[p].last = 0, 0
	for ; at != 0; at = m.places[at].next {
		if c := m.places[at].cell; m.cells[c].pair == p {
			m.mergeAt(int(c), id)
		}
	}
}

// sortPlaces puts a pair's places in the order of their cells.
func (m *merger) sortPlaces(p int32) {
	var cells []uint32
	for at := m.pairs[p].first; at != 0; at = m.places[at].next {
		cells = append(cells, m.places[at].cell)
	}
	slices.Sort(cells)
	at := m.pairs[p].first
	for _, c := range cells {
		m.places[at].cell = c
		at = m.places[at].next
	}
}

// mergeAt makes one symbol of the two at a cell.
func (m *merger) mergeAt(at int, id int32) {
	right := m.next(at)
	end := m.next(right)
	before := m.previous(at)
	m.part(at)
	m.part(right)
	m.part(before)
	m.cells[at].symbol = id
	m.cells[end-1].symbol = int32(at - end)
	if m.cells[before].symbol != border {
		m.join(before)
	}
	if m.cells[end].symbol != border {
		m.join(at)
	}
}

// next returns the first cell after the symbol at a cell.
func (m *merger) next(at int) int { return at + len(m.tokens[m.cells[at].symbol]) }

// previous returns the cell of the symbol, or the border, before a cell.
func (m *merger) previous(at int) int {
	if s := m.cells[at-1].symbol; s < 0 && s != border {
		return at + int(s)
	}
	return at - 1
}

// part takes the pair at a cell, if any, out of the counts.
func (m *merger) part(at int) {
	c := &m.cells[at]
	if c.pair != none {
		m.pairs[c.pair].count -= c.weight
		c.pair = none
	}
}

// join counts the pair that the symbol at a cell makes with its right neighbour.
func (m *merger) join(at int) {
	c := &m.cells[at]
	c.pair = m.pair(c.symbol, m.cells[m.next(at)].symbol)
	p := &m.pairs[c.pair]
	p.count += c.weight
	m.places = append(m.places, place{cell: uint32(at)})
	last := uint32(len(m.places) - 1)
	if p.first == 0 {
		p.first = last
	} else {
		m.places[p.last].next = last
	}
	p.last = last
	if !p.changed {
		p.changed = true
		m.changed = append(m.changed, c.pair)
	}
}

// pair returns the index of a pair, which is new if it never occurred.
func (m *merger) pair(left, right int32) int32 {
	i := m.index.get(left, right, int32(len(m.pairs)))
	if int(i) == len(m.pairs) {
		m.pairs = append(m.pairs, pair{left: left, right: right})
	}
	return i
}

// enqueue puts the changed pairs into the queue.
func (m *merger) enqueue() {
	for _, p := range m.changed {
		m.pairs[p].changed = false
		m.push(p)
	}
	m.changed = m.changed[:0]
}

func (m *merger) push(i int32) {
	if p := &m.pairs[i]; p.count >= m.opt.MinFrequency {
		m.queue.push(candidate{p.count, p.left, p.right, i})
	}
}

func (m *merger) model() *Model {
	out := &Model{Special: len(m.opt.Special), Tokens: m.tokens, Merges: m.merges}
	for at := 1; at < len(m.cells); {
		c := &m.cells[at]
		if c.symbol == border {
			at++
			continue
		}
		n := len(m.tokens[c.symbol])
		out.Bytes += int64(n) * c.weight
		out.Output += c.weight
		at += n
	}
	return out
}
