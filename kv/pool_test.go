package kv

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// count returns the tokens from..from+n-1.
func count(from, n int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(from + i)
	}
	return tokens
}

// open takes room for tokens, computes and publishes them.
func open(t *testing.T, p *Pool, root Hash, tokens []int32) (*Table, Prefix) {
	t.Helper()
	table, chain := &Table{}, NewChain(root, len(tokens))
	chain.Extend(tokens)
	f := p.Lookup(nil, chain, tokens, len(tokens)-1)
	p.Open(table, f)
	p.Grow(table, f.Tokens(), len(tokens), nil)
	p.Publish(table, chain, tokens, len(tokens))
	return table, f
}

func TestPrefixIsNeverTheWholePrompt(t *testing.T) {
	p, root := NewPool(8), Root("m", "", "")
	for i, want := range []int{0, 16} { // 32 tokens: the second block must be computed again
		table, f := open(t, p, root, count(0, 32))
		if f.Tokens() != want {
			t.Errorf("run %d: %d tokens from the cache, want %d", i, f.Tokens(), want)
		}
		p.Close(table)
	}
}

func TestPrefixNeedsTheSameRoot(t *testing.T) {
	p := NewPool(8)
	table, _ := open(t, p, Root("m", "a", "s"), count(0, 20))
	p.Close(table)
	for _, c := range []struct {
		root Hash
		want int
	}{
		{Root("m", "a", "s"), 16}, {Root("M", "a", "s"), 0}, {Root("m", "", "s"), 0},
		{Root("m", "a", ""), 0}, {Root("m", "as", ""), 0}, {Root("ma", "", "s"), 0},
	} {
		chain := NewChain(c.root, 20)
		chain.Extend(count(0, 20))
		if f := p.Lookup(nil, chain, count(0, 20), 19); f.Tokens() != c.want {
			t.Errorf("%d tokens found, want %d", f.Tokens(), c.want)
		}
	}
}

// TestCollisionIsNoHit forges a chain whose hash names a block with other tokens.
func TestCollisionIsNoHit(t *testing.T) {
	p, root := NewPool(8), Root("m", "", "")
	table, _ := open(t, p, root, count(0, 17))
	chain := NewChain(root, 17)
	chain.Extend(count(0, 17))
	if f := p.Lookup(nil, chain, count(0, 17), 16); !slices.Equal(f.Blocks, table.Blocks[:1]) {
		t.Fatalf("found %v", f.Blocks)
	}
	if f := p.Lookup(nil, chain, count(1, 17), 16); len(f.Blocks) != 0 {
		t.Errorf("other tokens under the same hash found %v", f.Blocks)
	}
}

func TestEndOfASequenceIsEvictedFirst(t *testing.T) {
	p, root := NewPool(4), Root("m", "", "")
	table, _ := open(t, p, root, count(0, 64))
	first := table.Blocks[0]
	p.Close(table)
	other, _ := open(t, p, root, count(100, 40))
	if got := p.Cached(); got != 1 || !p.Published(first) {
		t.Errorf("%d blocks cached, the first one published %v", got, p.Published(first))
	}
	p.Close(other)
}

// TestCopyOnWrite forks a sequence of 20 tokens twice: two of the three owners of the
// half filled block get copies, the last one writes in place.
func TestCopyOnWrite(t *testing.T) {
	p, root := NewPool(8), Root("m", "", "")
	a, _ := open(t, p, root, count(0, 20))
	b, c := p.Fork(a, 24), p.Fork(a, 24)
	var copies []BlockCopy
	for _, table := range []*Table{a, &b, &c} {
		copies = p.Grow(table, 20, 21, copies)
	}
	var log strings.Builder
	for _, table := range []*Table{a, &b, &c} {
		fmt.Fprint(&log, table.Blocks)
	}
	if got, want := fmt.Sprint(log.String(), copies), "[0 2][0 3][0 1][{1 2} {1 3}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if p.Refs(0) != 3 || p.Refs(1) != 1 {
		t.Errorf("owners of block 0: %d, of block 1: %d", p.Refs(0), p.Refs(1))
	}
	if err := p.Check(a, &b, &c); err != nil {
		t.Error(err)
	}
}

// TestCheckFindsDamage breaks each invariant in turn.
func TestCheckFindsDamage(t *testing.T) {
	for _, c := range []struct {
		want   string
		damage func(p *Pool, table *Table)
	}{
		{"owners but counts", func(p *Pool, table *Table) { p.refs[table.Blocks[0]]++ }},
		{"free twice", func(p *Pool, _ *Table) { p.free[0] = p.free[1] }},
		{"is in list 1", func(p *Pool, table *Table) { p.free = append(p.free, table.Blocks[0]) }},
		{"free block", func(p *Pool, _ *Table) { p.published[p.free[0]] = true }},
		{"but 2 counted", func(p *Pool, _ *Table) { p.cached.len++ }},
		{"its hash finds", func(p *Pool, table *Table) { delete(p.index, p.hash[table.Blocks[0]]) }},
		{"the index holds", func(p *Pool, _ *Table) { p.index[Hash{1}] = 0 }},
		{"is not published", func(p *Pool, _ *Table) { p.published[p.cached.oldest()] = false }},
	} {
		p, root := NewPool(8), Root("m", "", "")
		gone, _ := open(t, p, root, count(50, 16))
		p.Close(gone)
		table, _ := open(t, p, root, count(0, 40))
		if err := p.Check(table); err != nil {
			t.Fatal(err)
		}
		c.damage(p, table)
		if err := p.Check(table); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Check = %v, want %q", err, c.want)
		}
	}
}

// TestBugs lists what panics rather than corrupting the books.
func TestBugs(t *testing.T) {
	p, root := NewPool(2), Root("m", "", "")
	table, _ := open(t, p, root, count(0, 20))
	chain := NewChain(root, 20)
	for name, f := range map[string]func(){
		"no block left": func() { p.Grow(table, 20, 100, nil) },
		"whole prompt":  func() { p.Lookup(nil, chain, count(0, 16), 16) },
		"opened again":  func() { p.Open(table, Prefix{}) },
		"freed twice":   func() { p.release(table.Blocks[0]); p.release(table.Blocks[0]) },
		"share of free": func() { NewPool(1).retain(0) },
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "BUG: ") {
					t.Errorf("%s: recovered %v", name, r)
				}
			}()
			f()
		}()
	}
}
