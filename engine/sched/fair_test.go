package sched

import (
	"fmt"
	"testing"

	"github.com/ingot-llm/ingot/kv"
)

// prompt returns n tokens that no other call with another id starts with.
func prompt(id, n int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(id)
	}
	return tokens
}

// TestKeysShareByTokens keeps three keys with very different requests waiting without a
// break: at every step their charges lie within what can run at once of each other.
func TestKeysShareByTokens(t *testing.T) {
	cfg := Config{MaxSeqs: 6, MaxBatchTokens: 64, ChunkTokens: 32, MaxContext: 100, MaxWaiting: 100, Blocks: 24}
	w := newWorld(t, cfg, 1)
	kinds := map[string]Request{
		"long":  {Prompt: prompt(0, 60), MaxTokens: 40, N: 1},
		"short": {Prompt: prompt(1, 3), MaxTokens: 8, N: 1},
		"wide":  {Prompt: prompt(2, 20), MaxTokens: 10, N: 4},
	}
	bound := int64(max(cfg.MaxContext, cfg.Blocks*kv.BlockTokens))
	var low, high int64
	for range 6000 {
		for _, key := range []string{"long", "short", "wide"} {
			for a := w.s.waiting.accounts[key]; a == nil || a.waiting < 8; a = w.s.waiting.accounts[key] {
				r := kinds[key]
				r.Key = key
				if err := w.add(r); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.run()
		low, high = 1<<62, 0
		for key := range kinds {
			served := w.s.waiting.accounts[key].served
			low, high = min(low, served), max(high, served)
		}
		if high-low > bound {
			t.Fatalf("step %d: charges of %d and %d lie more than %d apart", w.step, low, high, bound)
		}
	}
	if low < 20*bound {
		t.Errorf("only %d tokens were served to the last: the bound of %d says little", low, bound)
	}
}

// TestFloodDoesNotStarve lets one key flood the queue while another asks now and then:
// its requests start as soon as a few of those running have ended.
func TestFloodDoesNotStarve(t *testing.T) {
	cfg := Config{MaxSeqs: 4, MaxBatchTokens: 64, ChunkTokens: 32, MaxContext: 100, MaxWaiting: 600, Blocks: 40}
	w := newWorld(t, cfg, 2)
	for i := range 500 {
		if err := w.add(Request{Key: "flood", Prompt: prompt(i, 20), MaxTokens: 30, N: 1}); err != nil {
			t.Fatal(err)
		}
	}
	longest := 0
	for i := range 30 {
		if err := w.add(Request{Key: "quiet", Prompt: prompt(1000+i, 20), MaxTokens: 30, N: 1}); err != nil {
			t.Fatal(err)
		}
		id, start := w.nextID, w.step
		for info, live := w.s.Info(id); live && info.Waiting; info, live = w.s.Info(id) {
			w.run()
		}
		longest = max(longest, w.step-start)
		for _, live := w.s.Info(id); live; _, live = w.s.Info(id) {
			w.run()
		}
	}
	if w.s.fresh < 100 {
		t.Errorf("only %d requests of the flood were left waiting", w.s.fresh)
	}
	if longest > 2*(30+2) { // two lives of a request
		t.Errorf("a quiet key waited %d steps", longest)
	}
}

// TestBigRequestDoesNotStarve sends one that needs the whole cache into a stream of small
// ones, of its own key and of others: nothing overtakes it for ever.
func TestBigRequestDoesNotStarve(t *testing.T) {
	for _, key := range []string{"small", "other"} {
		cfg := Config{MaxSeqs: 8, MaxBatchTokens: 64, ChunkTokens: 32, MaxContext: 128, MaxWaiting: 100, Blocks: 8}
		w := newWorld(t, cfg, 3)
		big := uint64(0)
		for i := 0; i < 2000; i++ {
			for w.s.fresh < 6 {
				if err := w.add(Request{Key: "small", Prompt: prompt(i, 10), MaxTokens: 20, N: 1}); err != nil {
					t.Fatal(err)
				}
			}
			if i == 100 {
				if err := w.add(Request{Key: key, Prompt: prompt(9, 100), MaxTokens: 28, N: 1}); err != nil {
					t.Fatal(err)
				}
				big = w.nextID
			}
			w.run()
			if _, live := w.s.Info(big); big > 0 && !live {
				break
			}
		}
		if _, live := w.s.Info(big); live {
			t.Errorf("key %s: the big request has not ended after %d steps", key, w.step)
		}
	}
}

// TestIdlenessSavesNothingUp and debts are kept while others have been served less.
func TestIdlenessSavesNothingUp(t *testing.T) {
	w := newQueue()
	serial := uint64(0)
	arrive := func(key string) *seq {
		serial++
		a := w.account(key)
		a.live++
		q := &seq{req: &request{account: a, arrival: serial}}
		w.push(q)
		return q
	}
	serve := func(q *seq, tokens int64) {
		w.remove(q)
		q.req.account.served += tokens
		w.leave(q.req.account)
	}
	state := func() (out string) {
		for _, key := range []string{"a", "b", "c"} {
			if a := w.accounts[key]; a != nil {
				out += fmt.Sprint(key, a.served, " ")
			}
		}
		return out
	}
	b0, b1, b2 := arrive("b"), arrive("b"), arrive("b")
	for i, c := range []struct {
		do   func()
		want string
	}{
		{func() { serve(arrive("a"), 1000) }, "a1000 b0 "},     // a goes into debt
		{func() { serve(b0, 300) }, "a1000 b300 "},             // and it is remembered
		{func() { serve(arrive("c"), 5) }, "a1000 b300 c305 "}, // a newcomer is lifted to b
		{func() { serve(arrive("a"), 10) }, "a1010 b300 c305 "},
		{func() { serve(b1, 900); arrive("c") }, "b1200 c1200 "}, // a is behind now: forgotten
		{func() { serve(b2, 1) }, "b1201 c1200 "},
	} {
		c.do()
		if got := state(); got != c.want {
			t.Errorf("step %d: %q, want %q", i, got, c.want)
		}
		if err := w.check(); err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
}
