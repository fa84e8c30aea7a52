package eval

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// stories opens the trained model stories260K without rounding.
func stories(t *testing.T) (dir string, e *engine.Engine, s Scorer) {
	t.Helper()
	dir = quanttest.Shared(t, "data", "models", "stories260K")
	e, err := engine.Open(engine.Options{Model: dir, KVType: "f32", MaxSeqs: 8, BatchTokens: 256, ChunkTokens: 128, Threads: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if s, err = FromEngine(e); err != nil {
		t.Fatal(err)
	}
	return dir, e, s
}

func score(t *testing.T, s Scorer, before string, endings ...string) []Likelihood {
	t.Helper()
	l, err := s.Score(t.Context(), before, endings)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestEngineLikelihood: texts are as likely as an independent float32 program finds them,
// and an ending as what it adds to its context.
func TestEngineLikelihood(t *testing.T) {
	dir, _, s := stories(t)
	var want struct {
		NLL []struct {
			Text     string
			PerToken []float64 `json:"per_token_nll"`
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil || len(want.NLL) == 0 {
		t.Fatal(err)
	}
	for _, n := range want.NLL {
		var sum float64
		for _, p := range n.PerToken {
			sum -= p
		}
		whole := score(t, s, "", n.Text)[0]
		if math.Abs(whole.Logprob-sum) > 1e-3*float64(len(n.PerToken)) || whole.Tokens != len(n.PerToken) || whole.Bytes != len(n.Text) {
			t.Errorf("%q is %+v, want %v of %d tokens", n.Text, whole, sum, len(n.PerToken))
		}
		i := strings.LastIndexByte(n.Text, ' ')
		known := score(t, s, "", n.Text[:i])[0]
		for _, at := range []int{i, i + 1} { // a space at the context's end is the ending's
			got := score(t, s, n.Text[:at], " unlikely", n.Text[at:], " zebra")[1]
			if math.Abs(got.Logprob-(whole.Logprob-known.Logprob)) > 1e-4 || got.Tokens != whole.Tokens-known.Tokens {
				t.Errorf("%q after %q is %+v, want %v of %d tokens", n.Text[at:], n.Text[:at], got, whole.Logprob-known.Logprob, whole.Tokens-known.Tokens)
			}
		}
	}
}

// TestEngineGreedy: what the model writes is what it finds likeliest, and nothing else is.
func TestEngineGreedy(t *testing.T) {
	_, _, s := stories(t)
	const prompt = "Once upon a time"
	text, err := s.Generate(t.Context(), prompt, nil, 20)
	if err != nil || text == "" {
		t.Fatal(text, err)
	}
	l := score(t, s, prompt, text, text[:len(text)-1]+"Q")
	if !l[0].Greedy || l[1].Greedy {
		t.Errorf("%q: greedy %v, changed at its end %v", text, l[0].Greedy, l[1].Greedy)
	}
	stop := text[len(text)/2 : len(text)/2+3]
	if short, err := s.Generate(t.Context(), prompt, []string{stop}, 20); err != nil || short != text[:strings.Index(text, stop)] {
		t.Errorf("up to %q it writes %q (%v), want the beginning of %q", stop, short, err, text)
	}
}

// TestEngineWindows: a text of several contexts is the sum of its windows as the engine
// scores each alone, and a context that is too long gives way to the ending.
func TestEngineWindows(t *testing.T) {
	_, e, s := stories(t)
	text := strings.Repeat("Once upon a time, there was a little girl named Lily. ", 80)
	ids := e.Tokenizer().Encode([]int32{e.Tokenizer().BOS()}, text, tokenizer.EncodeOptions{})
	limit := e.Info().Context
	if len(ids) < 2*limit {
		t.Fatalf("the text has %d tokens, want more than two contexts of %d", len(ids), limit)
	}
	var want float64
	for at := 1; at < len(ids); {
		end := min(len(ids), max(limit, at+limit-1))
		want += alone(t, e, ids[max(0, end-limit):end], at-max(0, end-limit))
		at = end
	}
	got := score(t, s, "", text)[0]
	if math.Abs(got.Logprob-want) > 1e-6*math.Abs(want) || got.Tokens != len(ids)-1 {
		t.Errorf("the text is %+v, want %v of %d tokens", got, want, len(ids)-1)
	}
	short := score(t, s, text, "The end.")[0]
	all := e.Tokenizer().Encode([]int32{e.Tokenizer().BOS()}, text+"The end.", tokenizer.EncodeOptions{})
	from := len(e.Tokenizer().Encode([]int32{e.Tokenizer().BOS()}, strings.TrimSpace(text), tokenizer.EncodeOptions{}))
	if want := alone(t, e, all[len(all)-limit:], from-(len(all)-limit)); math.Abs(short.Logprob-want) > 1e-6 {
		t.Errorf("the ending is %+v, want %v", short, want)
	}
	if _, err := s.Generate(t.Context(), text, nil, 10); err != nil {
		t.Errorf("a long prompt: %v", err)
	}
	if _, err := s.Generate(t.Context(), text, nil, limit); err == nil {
		t.Error("an answer as long as the context was begun")
	}
}

// alone sums the log-probabilities of a prompt's tokens from one on.
func alone(t *testing.T, e *engine.Engine, ids []int32, from int) (sum float64) {
	t.Helper()
	stream, err := e.Submit(t.Context(), engine.Request{Prompt: ids, N: 1, Sampling: sample.Default(), Logprobs: -1, PromptLogprobs: 0})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := text(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	for _, tok := range stream.Prompt()[from:] {
		sum += float64(tok.Logprob)
	}
	return sum
}

// TestWindows: each token behind the context is scored once, after another, and no window
// is longer than the limit.
func TestWindows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		n, limit := 2+rng.IntN(60), 2+rng.IntN(20)
		from := 1 + rng.IntN(n-1)
		at := from
		for w := range windows(n, from, limit) {
			if w.from != at || w.start >= w.from || w.end <= w.from || w.end-w.start > limit || w.start < 0 {
				t.Fatalf("%d tokens from %d on in windows of %d: %+v at %d", n, from, limit, w, at)
			}
			at = w.end
		}
		if at != n {
			t.Fatalf("%d tokens from %d on in windows of %d: the last ends at %d", n, from, limit, at)
		}
	}
}

// TestEndToEnd: the command over shared rows prints what the tasks' names promise.
func TestEndToEnd(t *testing.T) {
	dir := quanttest.Shared(t, "data", "models", "stories260K")
	data := quanttest.Shared(t, "data", "eval")
	valid := quanttest.Shared(t, "data", "pretrain", "valid.jsonl.gz")
	out, err := execute(t, dir, "--tasks", "copa,bpb,arithmetic", "--data", data, "--file", valid, "--limit", "12", "--kv-type", "f32", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(out) {
		var r struct {
			Kind, Model string
			Result
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Kind != "eval" || r.Samples != 12 {
			t.Fatalf("%v: %s", err, line)
		}
		for _, m := range r.Metrics {
			names = append(names, r.Task+" "+m.Name)
			if m.StdErr == nil || math.IsNaN(m.Value) {
				t.Errorf("%s: %+v", r.Task, m)
			}
		}
		if m := r.Metrics[0]; r.Task == "bpb" && (m.Value < 0.5 || m.Value > 8) {
			t.Errorf("a model of stories needs %v bits a byte of children's books", m.Value)
		}
	}
	if got := strings.Join(names, ", "); got != "copa acc, bpb bits_per_byte, bpb perplexity, arithmetic exact_match" {
		t.Errorf("it printed %s", got)
	}
}
