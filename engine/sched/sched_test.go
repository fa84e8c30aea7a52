package sched

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/engine/batch"
)

var roomy = Config{MaxSeqs: 16, MaxBatchTokens: 256, ChunkTokens: 128, MaxContext: 4096, MaxWaiting: 4096, Blocks: 8192}

// step runs one step, answering each sample with token 1.
func step(s *Scheduler) *batch.Batch {
	b := s.Next()
	if b != nil {
		for _, m := range b.Samples {
			s.Commit(m.Seq, 1, false)
		}
	}
	return b
}

// busy returns a scheduler with seqs sequences that decode for long and waiting others.
func busy(seqs, waiting int) *Scheduler {
	cfg := roomy
	cfg.MaxSeqs = seqs
	s := New(cfg)
	for i := range seqs + waiting {
		r := Request{ID: uint64(i + 1), Key: fmt.Sprint("key", i%50), Prompt: prompt(i, 30), MaxTokens: 4000, N: 1}
		if err := s.Add(r); err != nil {
			panic(err)
		}
	}
	for range 20 {
		step(s)
	}
	return s
}

func TestDecodeStepAllocatesNothing(t *testing.T) {
	s := busy(16, 20)
	if n := testing.AllocsPerRun(500, func() {
		if b := step(s); len(b.Tokens) != 16 || len(b.Seqs) != 16 {
			t.Fatalf("%d rows of %d sequences", len(b.Tokens), len(b.Seqs))
		}
	}); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}

// BenchmarkGrowth measures a step of 64 decoding sequences beside a queue of 10 and beside
// one of 1,000 that cannot start, in turns: the length of the queue must not show.
func BenchmarkGrowth(b *testing.B) {
	const turn = 50 // steps
	queues := []int{10, 1000}
	var times [2][]float64 // ns a step, of each turn
	for b.Loop() {
		machines := []*Scheduler{busy(64, queues[0]), busy(64, queues[1])}
		runtime.GC() // what was built before is not to be cleared away meanwhile
		for range 20 {
			for i, s := range machines {
				start := time.Now()
				for range turn {
					step(s)
				}
				times[i] = append(times[i], float64(time.Since(start).Nanoseconds())/turn)
			}
		}
	}
	for i := range times {
		slices.Sort(times[i])
		b.ReportMetric(times[i][len(times[i])/2], fmt.Sprintf("ns/step-waiting-%d", queues[i]))
	}
	b.ReportMetric(times[1][len(times[1])/2]/times[0][len(times[0])/2], "ratio")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkChurn ends a sequence and starts another in each step.
func BenchmarkChurn(b *testing.B) {
	for _, waiting := range []int{10, 1000} {
		b.Run(fmt.Sprint("waiting=", waiting), func(b *testing.B) {
			s := New(roomy)
			id := uint64(0)
			p := prompt(1, 20)
			for b.Loop() {
				for s.fresh < waiting {
					id++
					if err := s.Add(Request{ID: id, Key: fmt.Sprint("key", id%50), Prompt: p, MaxTokens: 16, N: 1}); err != nil {
						b.Fatal(err)
					}
				}
				step(s)
			}
		})
	}
}

func TestAddRefuses(t *testing.T) {
	cfg := Config{MaxSeqs: 4, MaxBatchTokens: 8, ChunkTokens: 8, MaxContext: 100, MaxWaiting: 1, Blocks: 5}
	for _, c := range []struct {
		prompt, max, n int
		want           error
		text           string
	}{
		{80, 1, 1, nil, ""}, // the generated token is not stored
		{80, 2, 1, ErrTooLong, "80 prompt tokens + 2 new tokens need 6 blocks of 16 tokens, and the cache has 5"},
		{90, 11, 1, ErrTooLong, "90 prompt tokens + 11 new tokens, and the context holds 100"},
		{90, 1 << 62, 1, ErrTooLong, "the context holds 100"},
		{10, 10, 5, ErrTooLong, "n = 5 continuations, and at most 4 sequences run at once"},
		{80, 0, 4, nil, ""},
	} {
		s := New(cfg)
		err := s.Add(Request{ID: 1, Prompt: prompt(1, c.prompt), MaxTokens: c.max, N: c.n})
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("prompt %d max %d n %d: %v", c.prompt, c.max, c.n, err)
		}
	}
	s := New(cfg)
	for i, want := range []error{nil, ErrQueueFull} {
		if err := s.Add(Request{ID: uint64(i), Prompt: prompt(1, 3), N: 1}); !errors.Is(err, want) {
			t.Errorf("request %d: %v", i, err)
		}
	}
}

func TestValidateNamesTheField(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.ChunkTokens = 0 }, "ChunkTokens is 0"},
		{func(c *Config) { c.MaxSeqs = 300 }, "MaxSeqs is 300, must be at most MaxBatchTokens (256)"},
	} {
		cfg := roomy
		c.change(&cfg)
		if got := fmt.Sprint(cfg.Validate()); !strings.Contains(got, c.want) || (c.want == "") != (got == "<nil>") {
			t.Errorf("Validate = %v, want %q", got, c.want)
		}
	}
}

// TestBugs lists the engine's mistakes that panic.
func TestBugs(t *testing.T) {
	for name, f := range map[string]func(s *Scheduler){
		"no commit":       func(s *Scheduler) { s.Next(); s.Next() },
		"commit to none":  func(s *Scheduler) { s.Commit(batch.Seq{Request: 9}, 1, false) },
		"commit unasked":  func(s *Scheduler) { s.Commit(batch.Seq{Request: 1}, 1, false) },
		"commit twice":    func(s *Scheduler) { step(s); s.Commit(batch.Seq{Request: 1}, 1, false) },
		"same id":         func(s *Scheduler) { _ = s.Add(Request{ID: 1, Prompt: prompt(1, 1), N: 1}) },
		"no prompt":       func(s *Scheduler) { _ = s.Add(Request{ID: 2, N: 1}) },
		"no config":       func(*Scheduler) { New(Config{}) },
		"cancelled batch": func(s *Scheduler) { s.Next(); s.Cancel(1); s.Commit(batch.Seq{Request: 1}, 1, false) },
	} {
		s := New(roomy)
		if err := s.Add(Request{ID: 1, Prompt: prompt(1, 3), MaxTokens: 5, N: 1}); err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "BUG: ") {
					t.Errorf("%s: recovered %v", name, r)
				}
			}()
			f(s)
		}()
	}
}

// TestForksKeepTheirOwnNames generates different tokens for two continuations: each is
// found in the cache under its own tokens afterwards.
func TestForksKeepTheirOwnNames(t *testing.T) {
	s := New(roomy)
	if err := s.Add(Request{ID: 1, Prompt: prompt(7, 20), MaxTokens: 45, N: 2}); err != nil {
		t.Fatal(err)
	}
	for b := s.Next(); b != nil; b = s.Next() {
		for _, m := range b.Samples {
			s.Commit(m.Seq, 100+m.Seq.Index, false)
		}
	}
	for i, want := range []int{64, 64, 16} { // the third was never generated
		r := Request{ID: uint64(2 + i), Prompt: append(prompt(7, 20), prompt(100+i, 50)...), MaxTokens: 1, N: 1}
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
		s.Next()
		if info, _ := s.Info(r.ID); info.CachedTokens != want {
			t.Errorf("continuation %d: %d tokens cached, want %d", i, info.CachedTokens, want)
		}
		s.Cancel(r.ID)
	}
}
