package loader

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/train/shard"
)

// source writes documents whose tokens are their own numbers, from base on, so that a
// token tells where it comes from.
func source(t *testing.T, random *rand.Rand, name string, base int32, documents int, masked bool) (Source, [][]int32) {
	t.Helper()
	s := Source{Name: name, Weight: 1}
	var all [][]int32
	for range 3 {
		path := filepath.Join(t.TempDir(), "a.shard")
		w, err := shard.Create(path, 1<<20, "")
		if err != nil {
			t.Fatal(err)
		}
		for range documents {
			var ids []int32
			var learned []bool
			for range 1 + random.IntN(30) {
				ids = append(ids, base)
				learned = append(learned, random.IntN(3) > 0)
				base++
			}
			if !masked {
				learned = nil
			}
			if err := w.Add(ids, learned, 0); err != nil {
				t.Fatal(err)
			}
			all = append(all, ids)
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		sh, err := shard.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sh.Close() })
		s.Shards = append(s.Shards, sh)
	}
	return s, all
}

func newLoader(t *testing.T, sources []Source, o Options) *Loader {
	t.Helper()
	l, err := New(sources, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestEpoch: every token comes once an epoch, is followed by its successor, and no
// target is of another document.
func TestEpoch(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, whole := range []bool{false, true} {
		s, documents := source(t, random, "a", 0, 20, false)
		l := newLoader(t, []Source{s}, Options{Tokens: 64, Context: 40, Seed: 5, Whole: whole})
		ends, count := map[int32]bool{}, 0
		for _, d := range documents {
			ends[d[len(d)-1]] = true
			count += len(d)
		}
		seen := map[int32]int{}
		for l.Epochs() == 0 {
			total := 0
			for _, q := range l.Next() {
				total += len(q.Tokens)
				for i, id := range q.Tokens {
					seen[id]++
					if want := id + 1; ends[id] && q.Targets[i] != -1 || !ends[id] && q.Targets[i] != want {
						t.Fatalf("token %d has the target %d", id, q.Targets[i])
					}
				}
			}
			if total > 64 || !whole && total != 64 {
				t.Fatalf("a batch of %d tokens", total)
			}
		}
		if len(seen) != count {
			t.Errorf("%d of %d tokens came in the first epoch", len(seen), count)
		}
		for id, n := range seen {
			if n > 2 { // the last batch may reach into the second epoch
				t.Errorf("token %d came %d times", id, n)
			}
		}
	}
}

// TestResume: from the state after any batch come the same batches.
func TestResume(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	a, _ := source(t, random, "a", 0, 9, true)
	b, _ := source(t, random, "b", 10000, 30, false)
	b.Weight = 2.5
	for _, whole := range []bool{false, true} {
		o := Options{Tokens: 50, Context: 33, Seed: 9, Whole: whole}
		l := newLoader(t, []Source{a, b}, o)
		for range 60 {
			saved, err := json.Marshal(l.State())
			if err != nil {
				t.Fatal(err)
			}
			var state State
			if err := json.Unmarshal(saved, &state); err != nil {
				t.Fatal(err)
			}
			again := newLoader(t, []Source{a, b}, o)
			if err := again.Resume(state); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if want, got := clone(l.Next()), clone(again.Next()); !reflect.DeepEqual(got, want) {
					t.Fatalf("resumed: %v, want %v", got, want)
				}
			}
		}
	}
}

func clone(batch []Sequence) (out []Sequence) {
	for _, q := range batch {
		out = append(out, Sequence{slices.Clone(q.Tokens), slices.Clone(q.Targets)})
	}
	return out
}

// TestMixture: tokens come in proportion to the weights, to within one sequence.
func TestMixture(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	a, _ := source(t, random, "a", 0, 9, false)
	b, _ := source(t, random, "b", 10000, 30, false)
	b.Weight = 3
	l := newLoader(t, []Source{a, b}, Options{Tokens: 100, Context: 20, Seed: 1})
	for range 200 {
		l.Next()
	}
	s := l.State()
	if got, want := s["b"].Tokens, 3*s["a"].Tokens; got < want-60 || got > want+60 {
		t.Errorf("%d tokens of b for %d of a, want %d", got, s["a"].Tokens, want)
	}
}

func TestRefused(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	a, _ := source(t, random, "a", 0, 2, false)
	zero := a
	zero.Name, zero.Weight = "zero", 0
	for name, sources := range map[string][]Source{"none": nil, "twice": {a, a}, "weight": {a, zero}, "empty": {{Name: "e", Weight: 1}}} {
		if _, err := New(sources, Options{Tokens: 10, Context: 5}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	l := newLoader(t, []Source{a}, Options{Tokens: 10, Context: 5})
	for _, p := range []Place{{Document: 1000}, {Document: 6}, {Token: 100}} {
		if err := l.Resume(State{"a": p}); err == nil {
			t.Errorf("the place %+v is accepted", p)
		}
	}
}
