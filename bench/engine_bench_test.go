package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/model/shape"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/quant"
)

// openShape starts an engine on random weights of a shape, with a vocabulary of its size.
func openShape(b *testing.B, name, mix string, o engine.Options) *engine.Engine {
	b.Helper()
	s, err := shape.Find(name)
	if err != nil {
		b.Fatal(err)
	}
	m, err := quant.ParseMix(mix)
	if err != nil {
		b.Fatal(err)
	}
	src := newRandomModel(s, m, nil)
	addVocabulary(src.meta, s.Vocab)
	o.Model = name
	e, err := engine.OpenSource(src, o, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	return e
}

// addVocabulary gives a model n tokens: three control tokens, the bytes, and words.
func addVocabulary(m *quant.Meta, n int) {
	tokens, kinds := []string{"<unk>", "<s>", "</s>"}, []int32{2, 3, 3}
	for b := range 256 {
		tokens, kinds = append(tokens, fmt.Sprintf("<0x%02X>", b)), append(kinds, 6)
	}
	for len(tokens) < n {
		tokens, kinds = append(tokens, fmt.Sprint("\u2581w", len(tokens))), append(kinds, 1)
	}
	m.Set("tokenizer.ggml.model", "llama")
	m.Set("tokenizer.ggml.tokens", tokens)
	m.Set("tokenizer.ggml.token_type", kinds)
	m.Set("tokenizer.ggml.scores", make([]float32, n))
	m.Set("tokenizer.ggml.bos_token_id", uint32(1))
	m.Set("tokenizer.ggml.eos_token_id", uint32(2))
}

// askFor is what the benchmarks ask an engine.
type askFor struct {
	prompt, tokens int
	temperature    float32
	seed           uint64
}

// submit asks for a.tokens tokens after a random prompt, whatever the model says.
func (a askFor) submit(b *testing.B, e *engine.Engine) *engine.Stream {
	b.Helper()
	r := rand.New(rand.NewPCG(a.seed, 1))
	p := sample.Default()
	p.Temperature, p.IgnoreEOS, p.Seed = a.temperature, true, a.seed
	q := engine.Request{Sampling: p, N: 1, MaxTokens: a.tokens, Logprobs: -1, PromptLogprobs: -1, Key: fmt.Sprint(a.seed % 50)}
	for range a.prompt {
		q.Prompt = append(q.Prompt, int32(r.IntN(e.Info().Vocab)))
	}
	s, err := e.Submit(b.Context(), q)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// follow reads a stream to its end and returns when its events were made.
func follow(b *testing.B, s *engine.Stream) (at []time.Time) {
	for {
		ev, err := s.Next(b.Context())
		if err != nil {
			return at
		}
		if ev.Finish == engine.FinishError {
			b.Error(ev.Err)
		}
		at = append(at, ev.At)
	}
}

// stopwatch adds up what an engine's full steps take.
type stopwatch struct {
	mu            sync.Mutex
	rows          int // of the steps that count: so many decode, and nothing else
	total, beside []time.Duration
}

func (w *stopwatch) step(s engine.StepStats) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.DecodeRows == w.rows && s.PrefillRows == 0 {
		w.total, w.beside = append(w.total, s.Duration), append(w.beside, s.Duration-s.Model)
	}
}

// BenchmarkLoop measures what the engine does beside the model's run in steps of 64
// sequences that decode: planning, sampling, detokenizing, handing on. It reports the
// median step, and the share and time of that.
func BenchmarkLoop(b *testing.B) {
	const seqs = 64
	for _, temperature := range []float32{0, 1} {
		for _, waiting := range []int{10, 1000} {
			b.Run(fmt.Sprintf("llama-15m/temperature=%v/waiting=%d", temperature, waiting), func(b *testing.B) {
				e := openShape(b, "llama-15m", "Q8_0", engine.Options{MaxSeqs: seqs})
				w := &stopwatch{rows: seqs}
				for b.Loop() {
					e.OnStep(w.step)
					var streams []*engine.Stream
					for i := range seqs + waiting {
						streams = append(streams, askFor{16, 200, temperature, uint64(i)}.submit(b, e))
					}
					var wg sync.WaitGroup
					for _, s := range streams[:seqs] {
						wg.Go(func() { follow(b, s) })
					}
					wg.Wait()
					e.OnStep(func(engine.StepStats) {})
					for _, s := range streams[seqs:] {
						s.Close()
					}
				}
				total, beside := median(w.total), median(w.beside)
				b.ReportMetric(100*float64(beside)/float64(total), "%beside")
				b.ReportMetric(float64(beside.Microseconds()), "µs-beside")
				b.ReportMetric(total.Seconds()*1e3, "ms/step")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkLongPrompt measures the longest time between two tokens of 8 streams while a
// long prompt is computed, in the median run and in all, and when its first token comes.
func BenchmarkLongPrompt(b *testing.B) {
	for _, prompt := range []int{1528, 4096} {
		b.Run(fmt.Sprintf("smol-135m/prompt=%d", prompt), func(b *testing.B) {
			e := openShape(b, "smol-135m", "Q4_0", engine.Options{})
			w := &stopwatch{rows: 8}
			e.OnStep(w.step)
			var gaps, firsts []time.Duration
			for i := 0; b.Loop(); i++ {
				gap, first := holdUp(b, e, prompt, uint64(100*i))
				gaps, firsts = append(gaps, gap), append(firsts, first)
			}
			b.ReportMetric(median(gaps).Seconds()*1e3, "ms-longest-gap")
			b.ReportMetric(slices.Max(gaps).Seconds()*1e3, "ms-longest-gap-of-all-runs")
			b.ReportMetric(median(firsts).Seconds()*1e3, "ms-first-token")
			b.ReportMetric(median(w.total).Seconds()*1e3, "ms/decoding-step")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// holdUp has a prompt computed beside 8 streams.
func holdUp(b *testing.B, e *engine.Engine, prompt int, seed uint64) (gap, first time.Duration) {
	events := make(chan []time.Time)
	var streams []*engine.Stream
	for i := range uint64(8) {
		s := askFor{64, 4000, 1, seed + i}.submit(b, e)
		streams = append(streams, s)
		go func() { events <- follow(b, s) }()
	}
	time.Sleep(time.Second)
	start := time.Now()
	at := follow(b, askFor{prompt, 1, 1, seed + 50}.submit(b, e))
	for _, s := range streams {
		s.Close()
	}
	for range streams {
		times := <-events
		for i := 1; i < len(times); i++ {
			if times[i].After(start) && times[i].Before(at[0].Add(time.Millisecond)) {
				gap = max(gap, times[i].Sub(times[i-1]))
			}
		}
	}
	return gap, at[0].Sub(start)
}

// BenchmarkClients measures the time to the first token of 16 clients in a closed loop
// with prompts of 156 tokens and answers of 64.
func BenchmarkClients(b *testing.B) {
	const clients, rounds = 16, 4
	e := openShape(b, "smol-135m", "Q4_0", engine.Options{})
	var mu sync.Mutex
	var firsts []time.Duration
	seed := uint64(0)
	for b.Loop() {
		seed += 1000
		var wg sync.WaitGroup
		for c := range uint64(clients) {
			wg.Go(func() {
				for r := range uint64(rounds) {
					start := time.Now()
					at := follow(b, askFor{156, 48 + int(c)*2, 1, seed + c*rounds + r}.submit(b, e))
					mu.Lock()
					firsts = append(firsts, at[0].Sub(start))
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	slices.Sort(firsts)
	b.ReportMetric(firsts[len(firsts)/2].Seconds()*1e3, "ms-ttft-p50")
	b.ReportMetric(firsts[len(firsts)*95/100].Seconds()*1e3, "ms-ttft-p95")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkStreams measures the tokens a second of many streams at once: with a seat for
// each, with the seats that are the default, and with cache memory for a quarter of them,
// beside the streams that this memory holds.
func BenchmarkStreams(b *testing.B) {
	const prompt, tokens = 32, 128
	const block = 2 * 2 * 6 * 288 * 16 // bytes of llama-15m: keys and values, bf16, layers, width, tokens
	quarter := int64(64 * (prompt + tokens) / 16 * block)
	for _, c := range []struct {
		name    string
		streams int
		options engine.Options
	}{
		{"streams=32", 32, engine.Options{MaxSeqs: 32}},
		{"streams=256", 256, engine.Options{MaxSeqs: 256}},
		{"streams=256/seats=default", 256, engine.Options{}},
		{"streams=64/cache=64", 64, engine.Options{MaxSeqs: 64, KVMemory: quarter}},
		{"streams=256/cache=64", 256, engine.Options{MaxSeqs: 256, KVMemory: quarter}},
	} {
		b.Run("llama-15m/"+c.name, func(b *testing.B) {
			e := openShape(b, "llama-15m", "Q8_0", c.options)
			start, done, seed := time.Now(), 0, uint64(0)
			for b.Loop() {
				var wg sync.WaitGroup
				for range c.streams {
					seed++
					s := askFor{prompt, tokens, 0, seed}.submit(b, e)
					wg.Go(func() { follow(b, s) })
				}
				wg.Wait()
				done += c.streams * tokens
			}
			b.ReportMetric(float64(done)/time.Since(start).Seconds(), "tokens/s")
			b.ReportMetric(float64(e.Stats().Preemptions)/float64(done/tokens), "preemptions/stream")
			b.ReportMetric(float64(e.Stats().RecomputedTokens)/float64(done), "recomputed/token")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// kept is a source that outlives its engine.
type kept struct{ quant.Source }

func (kept) Close() error { return nil }

// BenchmarkStart measures the time from opening a model of 1.3 GB, with 128,256 tokens, to
// its first token.
func BenchmarkStart(b *testing.B) {
	s, err := shape.Find("llama-1b")
	if err != nil {
		b.Fatal(err)
	}
	m, err := quant.ParseMix("Q8_0")
	if err != nil {
		b.Fatal(err)
	}
	src := newRandomModel(s, m, nil)
	defer src.Close()
	addVocabulary(src.meta, s.Vocab)
	for _, t := range src.Infos() {
		if _, err := src.Tensor(t.Name); err != nil {
			b.Fatal(err)
		}
	}
	var opened, first []time.Duration
	for b.Loop() {
		start := time.Now()
		e, err := engine.OpenSource(kept{src}, engine.Options{Model: s.Name, KVMemory: 1 << 30}, nil)
		if err != nil {
			b.Fatal(err)
		}
		opened = append(opened, time.Since(start))
		follow(b, askFor{1, 1, 0, 1}.submit(b, e))
		first = append(first, time.Since(start))
		e.Close()
	}
	b.ReportMetric(median(opened).Seconds()*1e3, "ms-open")
	b.ReportMetric(median(first).Seconds()*1e3, "ms-first-token")
	b.ReportMetric(0, "ns/op")
}
