package engine

import (
	"reflect"
	"testing"

	"github.com/ingot-llm/ingot/quant"
)

// forked returns the tokens of the 16 continuations of each of 3 requests, computed and
// drawn by threads threads.
func forked(t *testing.T, src quant.Source, threads int) map[[2]int][]int32 {
	t.Helper()
	e, err := OpenSource(src, Options{MaxSeqs: 48, Threads: threads}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var streams []*Stream
	for i := range 3 {
		r := target()
		r.N, r.MaxTokens, r.Sampling.Seed = 16, 12, uint64(i)
		streams = append(streams, submit(t, e, r))
	}
	out := map[[2]int][]int32{}
	for i, s := range streams {
		for ev, err := s.Next(t.Context()); err == nil; ev, err = s.Next(t.Context()) {
			for _, tok := range ev.Tokens {
				at := [2]int{i, ev.Index}
				out[at] = append(out[at], tok.ID)
			}
		}
	}
	return out
}

// TestThreadsDrawAsOne: however many threads read the logits, the tokens are the same, also
// where several sequences draw from one row, which their penalties change for a while.
func TestThreadsDrawAsOne(t *testing.T) {
	src := newSmallModel(t, quant.Q8_0)
	want := forked(t, src, 1)
	if len(want) != 48 {
		t.Fatalf("%d sequences, want 48", len(want))
	}
	for range 3 {
		if got := forked(t, src, 4); !reflect.DeepEqual(got, want) {
			t.Error("four threads draw other tokens than one")
		}
	}
}
