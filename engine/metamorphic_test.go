package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// outcome is what a request gave, its log-probabilities as bits.
type outcome []uint64

// follow reads a stream to its end.
func follow(t *testing.T, s *Stream) (out outcome) {
	t.Helper()
	for {
		ev, err := s.Next(t.Context())
		if err != nil {
			return out
		}
		if ev.Finish == FinishError || ev.Finish == FinishAbort {
			t.Fatalf("the request ended by %s: %v", ev.Finish, ev.Err)
		}
		for _, tok := range ev.Tokens {
			out = append(out, uint64(tok.ID)<<32|uint64(math.Float32bits(tok.Logprob)))
			for _, top := range tok.Top {
				out = append(out, uint64(top.ID)<<32|uint64(math.Float32bits(top.Logprob)))
			}
		}
	}
}

// trial is one way to run the request.
type trial struct {
	name    string
	options Options
	crowd   int  // other requests at the same time
	repeat  bool // the second of two, so that the prefix cache serves it
	preempt bool // it must have been preempted
	brief   bool // the reference, which is slow, runs these only
}

func trials() []trial {
	base := Options{MaxSeqs: 40, BatchTokens: 512, ChunkTokens: 512, KVMemory: 1 << 30}
	with := func(change func(o *Options)) Options {
		o := base
		change(&o)
		return o
	}
	return []trial{
		{name: "one thread", options: with(func(o *Options) { o.Threads = 1 })},
		{name: "weights mapped", options: with(func(o *Options) { o.Weights = "map" })},
		{name: "weights loaded", options: with(func(o *Options) { o.Weights = "load" })},
		{name: "chunks of 1", options: with(func(o *Options) { o.ChunkTokens = 1 })},
		{name: "chunks of 7", options: with(func(o *Options) { o.ChunkTokens = 7 }), brief: true},
		{name: "chunks of 64", options: with(func(o *Options) { o.ChunkTokens = 64 })},
		{name: "among 32 others", options: base, crowd: 32},
		{name: "among 32 others in chunks of 7", options: with(func(o *Options) { o.ChunkTokens, o.BatchTokens = 7, 48 }), crowd: 32, brief: true},
		{name: "among 32 others in steps of 1 ms", options: with(func(o *Options) { o.MaxStepMS = 1 }), crowd: 32, brief: true},
		{name: "prefix hit", options: base, repeat: true, brief: true},
		{name: "preempted", options: with(func(o *Options) { o.KVMemory = smallCache }), crowd: 12, preempt: true, brief: true},
	}
}

// target is the request whose outcome must never change.
func target() Request {
	r := rand.New(rand.NewPCG(3, 4))
	p := sample.Default()
	p.Temperature, p.TopP, p.RepetitionPenalty, p.Seed, p.IgnoreEOS = 0.9, 0.95, 1.1, 42, true
	return Request{Prompt: randomPrompt(r, 75), Sampling: p, N: 1, MaxTokens: 24, Logprobs: 3, PromptLogprobs: -1}
}

func randomPrompt(r *rand.Rand, n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(r.IntN(smallVocab))
	}
	return out
}

// run carries out a trial and returns what the target request gave.
func (tr *trial) run(t *testing.T, src quant.Source, table, activations string) outcome {
	t.Helper()
	o := tr.options
	o.Table, o.Activations = table, activations
	e, err := OpenSource(src, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	submit := func(r Request) *Stream {
		s, err := e.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if tr.repeat {
		follow(t, submit(target()))
	}
	crowd := tr.crowd
	if table == kernels.Reference.Name && !tr.preempt {
		crowd /= 4
	}
	r := rand.New(rand.NewPCG(5, 6))
	var streams []*Stream
	if tr.preempt {
		e.OnStep(intrude(t, e, 5, crowd, r))
		crowd = 0
	}
	for range crowd / 2 {
		streams = append(streams, submit(stranger(r, 0)))
	}
	s := submit(target())
	for range crowd / 2 {
		streams = append(streams, submit(stranger(r, 0)))
	}
	got := follow(t, s)
	for _, s := range streams {
		follow(t, s)
	}
	if tr.repeat && s.Usage().CachedTokens < 64 {
		t.Errorf("%s: %d tokens came from the prefix cache, want 64 of the 75", tr.name, s.Usage().CachedTokens)
	}
	if tr.preempt && e.Stats().Preemptions == 0 {
		t.Errorf("%s: nothing was preempted", tr.name)
	}
	return got
}

// stranger is some other request.
func stranger(r *rand.Rand, priority int) Request {
	q := target()
	q.Prompt, q.MaxTokens = randomPrompt(r, 1+r.IntN(60)), 8+r.IntN(30)
	q.Sampling.Seed, q.Priority = r.Uint64(), priority
	return q
}

// intrude has strangers of higher priority come after so many steps, more than the cache
// holds beside the one that runs. It is called by the loop, so it may admit by itself.
func intrude(t *testing.T, e *Engine, steps, crowd int, r *rand.Rand) func(StepStats) {
	return func(StepStats) {
		if steps--; steps != 0 {
			return
		}
		for range crowd {
			task, err := e.newTask(stranger(r, -1))
			if err == nil {
				err = e.admit(task)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
}

// TestSameRequestSameBits: whatever happens beside a request, and however its prompt is
// cut, cached or computed again, its tokens and log-probabilities keep their bits, on
// every table that this machine has, for every kind of weight and activation.
func TestSameRequestSameBits(t *testing.T) {
	for _, d := range []quant.DType{quant.F32, quant.BF16, quant.Q8_0, quant.Q4_0, quant.Q4_K} {
		src := newSmallModel(t, d)
		activations := []string{"bf16", "int8"}
		if d.BlockElems() == 1 {
			activations = activations[:1]
		}
		for _, table := range kernels.Tables() {
			if raceDetector && (table == kernels.Reference || d != quant.Q8_0) {
				continue
			}
			for _, act := range activations {
				t.Run(fmt.Sprintf("%v/%s/%s", d, table.Name, act), func(t *testing.T) {
					t.Parallel()
					alone := trial{name: "alone", options: Options{MaxSeqs: 1, BatchTokens: 512, ChunkTokens: 512, Threads: 2}}
					want := alone.run(t, src, table.Name, act)
					if len(want) != 24*4 {
						t.Fatalf("alone it gave %d numbers, want 24 tokens with 3 alternatives each", len(want))
					}
					for _, tr := range trials() {
						if table == kernels.Reference && !tr.brief {
							continue
						}
						if got := tr.run(t, src, table.Name, act); !slices.Equal(got, want) {
							t.Errorf("%s: other bits than alone", tr.name)
						}
					}
				})
			}
		}
	}
}
