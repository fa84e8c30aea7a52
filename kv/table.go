package kv

import "fmt"

// Table is one sequence's blocks in order: the keys and values of token i lie in
// Blocks[i/BlockTokens] at offset i%BlockTokens. The zero value holds nothing. Callers
// read Blocks; only the Pool's methods change it.
type Table struct {
	Blocks    []Block
	published int // leading blocks that Publish is done with
}

// Prefix is a run of published blocks that hold the beginning of a sequence. It is a
// finding only: it is valid until the Pool changes, and owns nothing before Open.
type Prefix struct {
	Blocks []Block
	cached int // how many of Blocks nobody owns
}

// Tokens returns how many tokens the prefix holds.
func (f Prefix) Tokens() int { return len(f.Blocks) * BlockTokens }

// Lookup finds the longest run of published blocks that hold tokens[:limit], in whole
// blocks; chain has been extended over tokens. The run is appended to dst[:0]. So that
// at least one token is left to compute, limit must be below len(tokens).
func (p *Pool) Lookup(dst []Block, chain *Chain, tokens []int32, limit int) Prefix {
	if limit >= len(tokens) {
		panic(fmt.Sprintf("BUG: a prefix of %d of %d tokens leaves none to compute", limit, len(tokens)))
	}
	f := Prefix{Blocks: dst[:0]}
	for n := 0; (n+1)*BlockTokens <= limit; n++ {
		b, ok := p.find(chain.hashes[n], tokens[n*BlockTokens:(n+1)*BlockTokens])
		if !ok {
			break
		}
		f.Blocks = append(f.Blocks, b)
		if p.refs[b] == 0 {
			f.cached++
		}
	}
	return f
}

// Cost returns by how many blocks Available shrinks when a sequence of tokens tokens is
// opened with this prefix and grown to its length.
func (f Prefix) Cost(tokens int) int { return Blocks(tokens) - len(f.Blocks) + f.cached }

// Open makes the empty table t hold the prefix, whose blocks gain an owner.
func (p *Pool) Open(t *Table, f Prefix) {
	if len(t.Blocks) > 0 {
		panic(fmt.Sprintf("BUG: a table that holds %d blocks was opened again", len(t.Blocks)))
	}
	for _, b := range f.Blocks {
		p.retain(b)
	}
	t.Blocks = append(t.Blocks, f.Blocks...)
	t.published = len(f.Blocks)
}

// shared reports whether token number from would be written into a block that holds
// other sequences' tokens too.
func (p *Pool) shared(t *Table, from int) bool {
	n := from / BlockTokens
	return n < len(t.Blocks) && p.refs[t.Blocks[n]] > 1
}

// Need returns how many blocks Grow takes from the pool.
func (p *Pool) Need(t *Table, from, to int) int {
	n := max(0, Blocks(to)-len(t.Blocks))
	if p.shared(t, from) {
		n++
	}
	return n
}

// Grow makes room for tokens from..to-1 of t, where from is the number of tokens that it
// holds already. The block that token from goes into is replaced by a copy if others own
// it too; the copy to make is appended to copies. Need blocks must be available.
func (p *Pool) Grow(t *Table, from, to int, copies []BlockCopy) []BlockCopy {
	if p.shared(t, from) {
		n := from / BlockTokens
		old := t.Blocks[n]
		t.Blocks[n] = p.alloc()
		p.release(old)
		copies = append(copies, BlockCopy{Src: old, Dst: t.Blocks[n]})
	}
	for len(t.Blocks) < Blocks(to) {
		t.Blocks = append(t.Blocks, p.alloc())
	}
	return copies
}

// Publish makes the full blocks among the first stored tokens of t known to Lookup.
// Their keys and values must have been computed; chain has been extended over tokens.
func (p *Pool) Publish(t *Table, chain *Chain, tokens []int32, stored int) {
	for ; (t.published+1)*BlockTokens <= stored; t.published++ {
		n := t.published
		p.publish(t.Blocks[n], chain.hashes[n], tokens[n*BlockTokens:(n+1)*BlockTokens])
	}
}

// Fork returns a table that shares every block of t, with room for the block numbers of
// tokens tokens. The first of the owners to Grow into a block that is not full gets a
// copy; the last one keeps the original.
func (p *Pool) Fork(t *Table, tokens int) Table {
	f := Table{Blocks: make([]Block, len(t.Blocks), max(len(t.Blocks), Blocks(tokens))), published: t.published}
	copy(f.Blocks, t.Blocks)
	for _, b := range f.Blocks {
		p.retain(b)
	}
	return f
}

// Close gives all blocks of t back, the last one first, so that of a cached sequence the
// end is evicted before the beginning that more prompts share. t is empty afterwards and
// keeps its memory.
func (p *Pool) Close(t *Table) {
	for i := len(t.Blocks) - 1; i >= 0; i-- {
		p.release(t.Blocks[i])
	}
	t.Blocks, t.published = t.Blocks[:0], 0
}
