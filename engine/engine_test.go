package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/engine/sched"
	"github.com/ingot-llm/ingot/quant"
)

func TestHowSequencesEnd(t *testing.T) {
	e := fakeEngine(t, &abcModel{}, nil)
	check := func(what string, change func(r *Request), text string, tokens int, finish FinishReason) answer {
		t.Helper()
		r := ask("stuv", 100)
		change(&r)
		a := read(t, submit(t, e, r))
		if a.text != text || len(a.tokens) != tokens || a.last.Finish != finish {
			t.Errorf("%s: %q of %d tokens, ended by %q (%v); want %q of %d, by %q", what, a.text, len(a.tokens), a.last.Finish, a.last.Err, text, tokens, finish)
		}
		return a
	}
	check("end token", func(r *Request) {}, "wxyz", 5, FinishStop)
	check("length", func(r *Request) { r.MaxTokens = 2 }, "wx", 2, FinishLength)
	check("end token ignored", func(r *Request) { r.Sampling.IgnoreEOS, r.MaxTokens = true, 6 }, "wxyz", 6, FinishLength)
	check("control tokens shown", func(r *Request) { r.Sampling.IgnoreEOS, r.KeepSpecial, r.MaxTokens = true, true, 6 }, "wxyz</s></s>", 6, FinishLength)
	check("stop string", func(r *Request) { r.Stop = []string{"yz"} }, "wx", 4, FinishStop)
	check("part of a stop string", func(r *Request) { r.Stop = []string{"z!"} }, "wxyz", 5, FinishStop)
	a := check("stop token", func(r *Request) { r.Sampling.StopIDs = []int32{tokByte + 'y'} }, "wx", 3, FinishStop)
	if a.last.StopID != tokByte+'y' {
		t.Errorf("the stop token reported is %d", a.last.StopID)
	}
	check("stop string within min_tokens", func(r *Request) { r.Stop, r.Sampling.MinTokens = []string{"w", "y"}, 2 }, "wx", 3, FinishStop)
	check("nothing to generate", func(r *Request) { r.MaxTokens = 0 }, "", 0, FinishLength)
}

func TestSeveralSequences(t *testing.T) {
	e := fakeEngine(t, &abcModel{}, nil)
	r := ask(strings.Repeat("-", 40)+"uvw", 100)
	r.N = 3
	s := submit(t, e, r)
	texts := map[int]string{}
	for {
		ev, err := s.Next(t.Context())
		if err == io.EOF {
			break
		}
		texts[ev.Index] += ev.Text
	}
	if fmt.Sprint(texts) != "map[0:xyz 1:xyz 2:xyz]" {
		t.Errorf("three continuations are %v", texts)
	}
	if u := s.Usage(); u.PromptTokens != 43 || u.CompletionTokens != 12 {
		t.Errorf("usage is %+v, want 43 prompt and 12 completion tokens", u)
	}
}

func TestLogprobs(t *testing.T) {
	e := fakeEngine(t, &abcModel{}, nil)
	r := ask("abz", 1)
	r.Logprobs, r.PromptLogprobs = 2, 1
	s := submit(t, e, r)
	a := read(t, s)
	// One logit of 20 among 258 zeros.
	want := -math.Log(1 + 258*math.Exp(-20))
	if tok := a.tokens[0]; tok.ID != tokEOS || math.Abs(float64(tok.Logprob)-want) > 1e-6 || len(tok.Top) != 2 || tok.Top[0].ID != tokEOS {
		t.Errorf("the drawn token is %+v, want log-probability %v", tok, want)
	}
	p := s.Prompt()
	if len(p) != 3 || p[0].Logprob != 0 || math.Abs(float64(p[1].Logprob)-want) > 1e-6 || p[2].Logprob > -19 || p[2].Top[0].ID != tokByte+'c' {
		t.Errorf("the prompt's tokens are %+v", p)
	}
}

// TestScoreFrom: scoring the end of a prompt gives what scoring all of it gives there, and
// takes what stands before from the cache.
func TestScoreFrom(t *testing.T) {
	e := fakeEngine(t, &abcModel{}, nil)
	r := ask(strings.Repeat("abcdefgh", 6)+"abxyz", 0)
	r.PromptLogprobs = 1
	whole := submit(t, e, r)
	read(t, whole)
	r.ScoreFrom = 49
	part := submit(t, e, r)
	read(t, part)
	if cached := part.Usage().CachedTokens; cached < 32 {
		t.Errorf("%d tokens of the prompt came from the cache, want the blocks before token 48", cached)
	}
	a, b := whole.Prompt(), part.Prompt()
	if len(b) != len(r.Prompt) || !reflect.DeepEqual(a[49:], b[49:]) || b[48].ID != r.Prompt[48] || b[48].Logprob != 0 {
		t.Errorf("scored from token 49: %+v, want %+v", b[47:], a[49:])
	}
	r.ScoreFrom = len(r.Prompt)
	if _, err := e.Submit(t.Context(), r); err == nil {
		t.Error("a request to score behind its prompt was accepted")
	}
}

// TestCancel: whether the reader leaves by its context or by Close, the blocks are free
// soon after, and the others go on.
func TestCancel(t *testing.T) {
	e := fakeEngine(t, &abcModel{}, nil)
	forever := ask("-", 200)
	forever.Sampling.IgnoreEOS = true
	ctx, cancel := context.WithCancel(t.Context())
	s, err := e.Submit(ctx, forever)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancel()
	for {
		ev, err := s.Next(t.Context())
		if err != nil {
			break // it had ended by itself before it was cancelled
		}
		if ev.Finish == FinishAbort || ev.Finish == FinishLength {
			break
		}
	}
	left := submit(t, e, forever)
	left.Close()
	if a := read(t, submit(t, e, ask("w", 10))); a.text != "xyz" {
		t.Errorf("another request gave %q", a.text)
	}
	waitIdle(t, e)
}

// TestSlowReader: a request whose reader does not read is put on hold, others go on, and
// it goes on when it is read.
func TestSlowReader(t *testing.T) {
	const length = 6000 // tokens of 64 bytes and more in the stream's queue
	e := fakeEngine(t, &abcModel{}, func(c *sched.Config) { c.MaxSeqs, c.MaxContext, c.Blocks = 1, length+100, 1000 })
	r := ask("-", length)
	r.Sampling.IgnoreEOS = true
	slow := submit(t, e, r)
	for slow.Backlog() <= maxBacklog {
		if a := read(t, submit(t, e, ask("w", 10))); a.text != "xyz" {
			t.Fatalf("beside a slow reader another request gave %q", a.text)
		}
	}
	if n := slow.Backlog(); n > maxBacklog+1000 {
		t.Errorf("%d bytes wait for a reader that does not read, want about %d", n, maxBacklog)
	}
	if s := e.Stats(); s.GenerationTokens >= length {
		t.Errorf("%d tokens were generated for nobody", s.GenerationTokens)
	}
	if a := read(t, slow); len(a.tokens) != length || a.last.Finish != FinishLength {
		t.Errorf("read at last, it gave %d tokens and ended by %q", len(a.tokens), a.last.Finish)
	}
}

// waitIdle fails unless the engine soon holds no block.
func waitIdle(t *testing.T, e *Engine) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if err := e.Drain(ctx); err != nil {
		t.Fatalf("the engine did not come to rest: %v; %+v", err, e.Stats())
	}
	if s := e.Stats(); s.BlocksUsed != 0 || s.Running != 0 {
		t.Fatalf("at rest the engine holds %+v", s)
	}
}

func TestRefusals(t *testing.T) {
	e := fakeEngine(t, &abcModel{}, nil)
	check := func(want string, change func(r *Request)) {
		t.Helper()
		r := ask("abc", 10)
		change(&r)
		var invalid *InvalidError
		var long *TooLongError
		_, err := e.Submit(t.Context(), r)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &invalid) && !errors.As(err, &long) {
			t.Errorf("error %v does not say %q, or is the caller's fault and does not say so", err, want)
		}
	}
	check("prompt is empty", func(r *Request) { r.Prompt = nil })
	check("vocabulary has 259", func(r *Request) { r.Prompt[1] = fakeVocab })
	check("n is 0", func(r *Request) { r.N = 0 })
	check("max_tokens is -1", func(r *Request) { r.MaxTokens = -1 })
	check("context length holds 256", func(r *Request) { r.MaxTokens = 254 })
	check("temperature", func(r *Request) { r.Sampling.Temperature = -1 })
	check("8 sequences", func(r *Request) { r.N = 9 })
	long := &TooLongError{}
	r := ask("abc", 300)
	if _, err := e.Submit(t.Context(), r); !errors.As(err, &long) || long.Limit != 256 {
		t.Errorf("a request beyond the context gave %v", err)
	}
	if _, err := e.Embed(t.Context(), [][]int32{{1}}); !errors.Is(err, ErrNoEmbeddings) {
		t.Errorf("Embed on a decoder gave %v", err)
	}
}

func TestQueueFull(t *testing.T) {
	gate := make(chan struct{})
	m := &abcModel{fail: func(*batch.Batch) error { <-gate; return nil }}
	e := fakeEngine(t, m, func(c *sched.Config) { c.MaxSeqs, c.MaxWaiting = 1, 2 })
	// While the loop is held in a step the requests queue up behind it.
	first := submit(t, e, ask("y", 5))
	results := make(chan error, 5)
	for range 5 {
		go func() {
			_, err := e.Submit(t.Context(), ask("y", 5))
			results <- err
		}()
	}
	close(gate)
	full := 0
	for range 5 {
		if err := <-results; errors.Is(err, ErrQueueFull) {
			full++
		} else if err != nil {
			t.Errorf("Submit gave %v", err)
		}
	}
	read(t, first)
	if full > 3 {
		t.Errorf("%d of 5 requests were refused, though two may wait", full)
	}
}

// TestFailuresCostOnlyThemselves: a batch that cannot be computed ends its requests, NaN
// ends the one it belongs to, and the next request is served.
func TestFailuresCostOnlyThemselves(t *testing.T) {
	failing := true
	m := &abcModel{poison: tokByte + 'q'}
	m.fail = func(*batch.Batch) error {
		if failing {
			failing = false
			return errFake
		}
		return nil
	}
	e := fakeEngine(t, m, nil)
	if a := read(t, submit(t, e, ask("w", 5))); a.last.Finish != FinishError || !errors.Is(a.last.Err, errFake) {
		t.Errorf("the failed step ended its request by %q: %v", a.last.Finish, a.last.Err)
	}
	poisoned, healthy := submit(t, e, ask("op", 9)), submit(t, e, ask("w", 9))
	if a := read(t, poisoned); a.last.Finish != FinishError || a.text != "q" {
		t.Errorf("NaN logits after %q ended the request by %q: %v", a.text, a.last.Finish, a.last.Err)
	}
	if a := read(t, healthy); a.text != "xyz" || a.last.Finish != FinishStop {
		t.Errorf("its neighbour gave %q, ended by %q", a.text, a.last.Finish)
	}
	waitIdle(t, e)
}

func TestDrainAndClose(t *testing.T) {
	e := fakeEngine(t, &abcModel{}, nil)
	s := submit(t, e, ask("a", 100))
	waitIdle(t, e)
	if a := read(t, s); a.text != "bcdefghijklmnopqrstuvwxyz" {
		t.Errorf("a request inside a draining engine gave %q", a.text)
	}
	if _, err := e.Submit(t.Context(), ask("a", 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Submit to a draining engine gave %v", err)
	}
	gate := make(chan struct{})
	e = fakeEngine(t, &abcModel{fail: func(*batch.Batch) error { <-gate; return nil }}, nil)
	s = submit(t, e, ask("a", 100))
	go close(gate)
	e.Close()
	if a := read(t, s); a.last.Finish != FinishAbort && a.last.Finish != FinishStop {
		t.Errorf("Close ended a request by %q", a.last.Finish)
	}
	if err := e.Close(); err != nil {
		t.Errorf("a second Close gave %v", err)
	}
}

// TestDecodeAllocatesNothing: scheduling, the native run, sampling, detokenizing and
// handing on a token of four sequences.
func TestDecodeAllocatesNothing(t *testing.T) {
	e, err := OpenSource(newSmallModel(t, quant.Q8_0), Options{MaxSeqs: 4, BatchTokens: 64}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.Info().Table == "reference" {
		t.Skip("no native kernels: the reference allocates")
	}
	var streams []*Stream
	for i := range 4 {
		r := target()
		r.Prompt, r.MaxTokens, r.Logprobs = r.Prompt[:10+i], 240, -1
		streams = append(streams, submit(t, e, r))
	}
	measured := make(chan float64)
	e.do(func() {
		for range 100 {
			e.step() // until every buffer has grown to what it needs
		}
		for _, s := range streams {
			for _, ok, _ := s.take(); ok; _, ok, _ = s.take() {
			}
		}
		measured <- testing.AllocsPerRun(50, func() { e.step() })
	})
	if n := <-measured; n != 0 {
		t.Errorf("a decode step allocates %v times", n)
	}
}
