package kv

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// naive is what a Pool should be, written with maps and strings: it predicts which
// blocks are free, cached (in order) and published, and holds the cache's memory, one
// token id in place of each key and value.
type naive struct {
	owners    map[Block]int
	known     map[string]Block // salt and all tokens up to the block's end -> block
	names     map[Block]string
	cached    []Block // oldest first
	memory    map[Block][BlockTokens]int32
	remaining int // free blocks
}

// seq is a sequence of the test.
type seq struct {
	salt   string
	tokens []int32
	stored int
	tried  int // leading blocks offered to the naive index, each once
	chain  *Chain
	table  Table
}

func name(salt string, tokens []int32) string { return salt + fmt.Sprint(tokens) }

func (m *naive) take(t *testing.T, b Block) {
	if m.owners[b] > 0 {
		t.Fatalf("block %d handed out while owned", b)
	}
	if m.remaining > 0 {
		if slices.Contains(m.cached, b) {
			t.Fatalf("cached block %d evicted while %d are free", b, m.remaining)
		}
		m.remaining--
	} else {
		if len(m.cached) == 0 || m.cached[0] != b {
			t.Fatalf("block %d evicted, the oldest of %v expected", b, m.cached)
		}
		m.cached = m.cached[1:]
		delete(m.known, m.names[b])
		delete(m.names, b)
	}
	m.owners[b] = 1
}

func (m *naive) share(b Block) {
	if m.owners[b] == 0 {
		m.cached = slices.DeleteFunc(m.cached, func(c Block) bool { return c == b })
	}
	m.owners[b]++
}

func (m *naive) drop(b Block) {
	if m.owners[b]--; m.owners[b] > 0 {
		return
	}
	if _, ok := m.names[b]; ok {
		m.cached = append(m.cached, b)
	} else {
		m.remaining++
	}
}

func (m *naive) publish(s *seq) {
	for ; (s.tried+1)*BlockTokens <= s.stored; s.tried++ {
		key := name(s.salt, s.tokens[:(s.tried+1)*BlockTokens])
		if _, ok := m.known[key]; !ok {
			b := s.table.Blocks[s.tried]
			m.known[key], m.names[b] = b, key
		}
	}
}

func (m *naive) longest(s *seq, limit int) (run []Block) {
	for n := 0; (n+1)*BlockTokens <= limit; n++ {
		b, ok := m.known[name(s.salt, s.tokens[:(n+1)*BlockTokens])]
		if !ok {
			return run
		}
		run = append(run, b)
	}
	return run
}

// write stores tokens stored..to-1 of s in the memory.
func (m *naive) write(t *testing.T, p *Pool, s *seq, to int) {
	for i := s.stored; i < to; i++ {
		b := s.table.Blocks[i/BlockTokens]
		if p.Published(b) || m.owners[b] != 1 {
			t.Fatalf("token %d would be written into block %d, which has %d owners (published %v)", i, b, m.owners[b], p.Published(b))
		}
		page := m.memory[b]
		page[i%BlockTokens] = s.tokens[i]
		m.memory[b] = page
	}
	s.stored = to
}

// read checks that the memory under the table of s holds its tokens.
func (m *naive) read(t *testing.T, s *seq) {
	for i := range s.stored {
		if got := m.memory[s.table.Blocks[i/BlockTokens]][i%BlockTokens]; got != s.tokens[i] {
			t.Fatalf("token %d of %v reads %d", i, s.tokens, got)
		}
	}
}

// TestPoolAgainstModel drives a Pool and the naive one with the same random operations.
func TestPoolAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { simulate(t, seed, 1500) })
	}
}

func simulate(t *testing.T, seed uint64, ops int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	total := 4 + rng.IntN(24)
	p := NewPool(total)
	m := &naive{owners: map[Block]int{}, known: map[string]Block{}, names: map[Block]string{},
		memory: map[Block][BlockTokens]int32{}, remaining: total}
	var live []*seq
	grow := func(s *seq, to int) {
		need := p.Need(&s.table, s.stored, to)
		if need > p.Available() {
			return
		}
		before := slices.Clone(s.table.Blocks)
		available := p.Available()
		for _, c := range p.Grow(&s.table, s.stored, to, nil) {
			m.take(t, c.Dst)
			m.memory[c.Dst] = m.memory[c.Src]
			m.drop(c.Src)
			before[slices.Index(before, c.Src)] = c.Dst
		}
		if available-p.Available() != need {
			t.Fatalf("Need said %d blocks, Grow took %d", need, available-p.Available())
		}
		if !slices.Equal(before, s.table.Blocks[:len(before)]) {
			t.Fatal("Grow changed blocks without reporting a copy")
		}
		for _, b := range s.table.Blocks[len(before):] {
			m.take(t, b)
		}
		m.write(t, p, s, to)
		s.chain.Extend(s.tokens)
		p.Publish(&s.table, s.chain, s.tokens, s.stored)
		m.publish(s)
	}
	for range ops {
		switch op := rng.IntN(10); {
		case op < 3 || len(live) == 0: // a new sequence out of few kinds, so that prefixes meet
			s := &seq{salt: strings.Repeat("s", rng.IntN(2))}
			for i := range 1 + rng.IntN(70) {
				s.tokens = append(s.tokens, int32(i/20*rng.IntN(2)))
			}
			s.chain = NewChain(Root("m", "", s.salt), len(s.tokens))
			s.chain.Extend(s.tokens)
			limit := rng.IntN(len(s.tokens))
			f := p.Lookup(nil, s.chain, s.tokens, limit)
			if want := m.longest(s, limit); !slices.Equal(f.Blocks, want) {
				t.Fatalf("Lookup = %v, want %v", f.Blocks, want)
			}
			if f.Cost(len(s.tokens)) > p.Available() {
				continue
			}
			available := p.Available()
			p.Open(&s.table, f)
			for _, b := range f.Blocks {
				m.share(b)
			}
			s.stored, s.tried = f.Tokens(), len(f.Blocks)
			live = append(live, s)
			grow(s, len(s.tokens))
			if available-p.Available() != f.Cost(len(s.tokens)) {
				t.Fatalf("Cost said %d blocks, %d were taken", f.Cost(len(s.tokens)), available-p.Available())
			}
		case op < 7: // some more tokens
			s := live[rng.IntN(len(live))]
			for range rng.IntN(20) {
				s.tokens = append(s.tokens, int32(rng.IntN(2)))
			}
			grow(s, len(s.tokens))
		case op < 8:
			s := live[rng.IntN(len(live))]
			f := &seq{salt: s.salt, tokens: slices.Clone(s.tokens[:s.stored]), stored: s.stored, tried: s.tried, chain: s.chain.Clone(len(s.tokens))}
			f.chain.hashes = f.chain.hashes[:s.stored/BlockTokens]
			f.table = p.Fork(&s.table, len(s.tokens))
			for _, b := range f.table.Blocks {
				m.share(b)
			}
			live = append(live, f)
		default:
			i := rng.IntN(len(live))
			s := live[i]
			for _, b := range slices.Backward(s.table.Blocks) {
				m.drop(b)
			}
			p.Close(&s.table)
			live = slices.Delete(live, i, i+1)
		}
		tables := make([]*Table, len(live))
		for i, s := range live {
			tables[i] = &s.table
			m.read(t, s)
		}
		if err := p.Check(tables...); err != nil {
			t.Fatal(err)
		}
		if p.Free() != m.remaining || p.Cached() != len(m.cached) || p.Free()+p.Cached()+p.InUse() != total {
			t.Fatalf("free %d cached %d in use %d of %d, want free %d cached %d", p.Free(), p.Cached(), p.InUse(), total, m.remaining, len(m.cached))
		}
	}
}
