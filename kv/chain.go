package kv

import (
	"crypto/sha256"
	"encoding/binary"
)

// Hash names the contents of a full block together with everything before it: the
// SHA-256 of the previous block's Hash and the block's token ids.
type Hash [sha256.Size]byte

// Root returns the Hash that a sequence's first block is chained to. Sequences share
// blocks only if all three agree: the model, the adapter on it ("" for none) and the
// tenant's salt, without which one tenant could learn from the time to the first token
// what another has asked.
func Root(model, adapter, salt string) Hash {
	h := sha256.New()
	for _, part := range [...]string{model, adapter, salt} {
		var size [8]byte // lengths first, so that no two triples give the same bytes
		binary.LittleEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	return Hash(h.Sum(nil))
}

// next hashes one full block of tokens under the Hash before it.
func next(parent Hash, tokens []int32) Hash {
	var buf [sha256.Size + 4*BlockTokens]byte
	copy(buf[:], parent[:])
	for i, id := range tokens {
		binary.LittleEndian.PutUint32(buf[sha256.Size+4*i:], uint32(id))
	}
	return sha256.Sum256(buf[:])
}

// Chain holds the hashes of a sequence's full blocks, each computed once. It outlives
// the sequence's Table, so a preempted sequence finds its blocks again without hashing.
type Chain struct {
	root   Hash
	hashes []Hash
}

// NewChain returns the empty chain that starts at root, with room for the blocks of
// tokens tokens.
func NewChain(root Hash, tokens int) *Chain {
	return &Chain{root: root, hashes: make([]Hash, 0, tokens/BlockTokens)}
}

// Extend hashes the full blocks of tokens that the chain lacks. tokens is the whole
// sequence from its start; what was hashed before must not have changed.
func (c *Chain) Extend(tokens []int32) {
	for n := len(c.hashes); (n+1)*BlockTokens <= len(tokens); n++ {
		c.hashes = append(c.hashes, next(c.before(n), tokens[n*BlockTokens:(n+1)*BlockTokens]))
	}
}

// Clone returns a copy with room for the blocks of tokens tokens, for a forked sequence.
func (c *Chain) Clone(tokens int) *Chain {
	d := NewChain(c.root, tokens)
	d.hashes = append(d.hashes, c.hashes...)
	return d
}

// before returns the hash that block n is chained to.
func (c *Chain) before(n int) Hash {
	if n == 0 {
		return c.root
	}
	return c.hashes[n-1]
}
