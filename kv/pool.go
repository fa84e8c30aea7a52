package kv

import "fmt"

// BlockTokens is the number of tokens whose keys and values one block holds. 16 is
// vLLM's default: small enough that a sequence wastes 8 slots on average, large enough
// that block tables stay short.
const BlockTokens = 16

// Block is the number of a block, 0 <= Block < Pool.Total().
type Block = int32

// BlockCopy asks for the keys and values of block Src, in every layer, to be copied to
// block Dst. A list of them is carried out in order, before the step that it came with.
type BlockCopy struct{ Src, Dst Block }

// Blocks returns how many blocks hold n tokens.
func Blocks(n int) int { return (n + BlockTokens - 1) / BlockTokens }

// Pool counts the owners of every block and remembers what published blocks hold.
//
// Invariants, which Check verifies:
//  1. Each block is exactly one of free, cached, in use; the three add up to Total.
//  2. refs[b] is the number of tables that hold b; it is above 0 exactly if b is in use.
//  3. A published block is found in index under hash[b], and index holds nothing else.
//  4. Free blocks are not published; cached blocks are.
type Pool struct {
	refs      []int32              // [Total] owners
	published []bool               // [Total] contents known to index
	hash      []Hash               // [Total] name of the contents, where published
	tokens    [][BlockTokens]int32 // [Total] the contents themselves, where published
	index     map[Hash]Block
	free      []Block // a stack; its order is part of the deterministic state
	cached    lru
}

// NewPool returns a pool of total blocks, all free.
func NewPool(total int) *Pool {
	p := &Pool{
		refs:      make([]int32, total),
		published: make([]bool, total),
		hash:      make([]Hash, total),
		tokens:    make([][BlockTokens]int32, total),
		index:     make(map[Hash]Block, total),
		free:      make([]Block, total),
		cached:    newLRU(total),
	}
	for i := range p.free {
		p.free[i] = Block(total - 1 - i) // so that block 0 is handed out first
	}
	return p
}

// Total returns the number of blocks.
func (p *Pool) Total() int { return len(p.refs) }

// Free returns the number of blocks that hold nothing.
func (p *Pool) Free() int { return len(p.free) }

// Cached returns the number of blocks that nobody owns but whose contents are kept.
func (p *Pool) Cached() int { return p.cached.len }

// InUse returns the number of blocks that some table holds.
func (p *Pool) InUse() int { return p.Total() - p.Available() }

// Available returns how many blocks Alloc can hand out: free ones and cached ones.
func (p *Pool) Available() int { return len(p.free) + p.cached.len }

// Refs returns the number of tables that hold b.
func (p *Pool) Refs(b Block) int { return int(p.refs[b]) }

// Published reports whether the contents of b can be found by Lookup; such a block must
// not be written.
func (p *Pool) Published(b Block) bool { return p.published[b] }

// alloc hands out a block with one owner, at the cost of the least recently used cached
// block where none is free. The caller has made sure that one is available.
func (p *Pool) alloc() Block {
	var b Block
	if n := len(p.free); n > 0 {
		b, p.free = p.free[n-1], p.free[:n-1]
	} else if p.cached.len > 0 {
		b = p.cached.oldest()
		p.cached.remove(b)
		delete(p.index, p.hash[b])
		p.published[b] = false
	} else {
		panic(fmt.Sprintf("BUG: no block left of %d; ask Need first", p.Total()))
	}
	p.refs[b] = 1
	return b
}

// retain adds an owner to a block that is cached or in use.
func (p *Pool) retain(b Block) {
	if p.refs[b] == 0 {
		if !p.published[b] {
			panic(fmt.Sprintf("BUG: block %d is free and cannot be shared", b))
		}
		p.cached.remove(b)
	}
	p.refs[b]++
}

// release takes an owner away. The last one leaves the block cached if it is published,
// else free.
func (p *Pool) release(b Block) {
	if p.refs[b] <= 0 {
		panic(fmt.Sprintf("BUG: block %d has no owner to release it", b))
	}
	if p.refs[b]--; p.refs[b] > 0 {
		return
	}
	if p.published[b] {
		p.cached.add(b)
	} else {
		p.free = append(p.free, b)
	}
}

// publish names the contents of a full block. Where another block already holds the same
// contents that one stays the known one, and b goes to the free list when it is released.
func (p *Pool) publish(b Block, h Hash, tokens []int32) {
	if _, ok := p.index[h]; ok {
		return
	}
	p.index[h], p.hash[b], p.published[b] = b, h, true
	copy(p.tokens[b][:], tokens)
}

// find returns the block that holds tokens under the name h. The tokens themselves are
// compared, so not even a collision of hashes hands one sequence another's cache.
func (p *Pool) find(h Hash, tokens []int32) (Block, bool) {
	b, ok := p.index[h]
	return b, ok && p.tokens[b] == [BlockTokens]int32(tokens)
}
