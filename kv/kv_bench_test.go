package kv

import "testing"

// BenchmarkLookup finds a prompt of 8,192 tokens that is wholly cached.
func BenchmarkLookup(b *testing.B) {
	tokens := count(0, 8193)
	p, table, chain := NewPool(600), &Table{}, NewChain(Root("m", "", ""), 8193)
	chain.Extend(tokens)
	p.Grow(table, 0, len(tokens), nil)
	p.Publish(table, chain, tokens, len(tokens))
	var buf []Block
	b.ReportAllocs()
	for b.Loop() {
		buf = p.Lookup(buf, chain, tokens, 8192).Blocks
	}
}

// BenchmarkExtend hashes a prompt of 8,192 tokens.
func BenchmarkExtend(b *testing.B) {
	tokens := count(0, 8192)
	b.ReportAllocs()
	for b.Loop() {
		NewChain(Hash{}, len(tokens)).Extend(tokens)
	}
}
