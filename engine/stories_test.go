package engine

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// stories is what an independent float32 program says of the trained model stories260K.
type stories struct {
	Greedy []struct {
		Prompt, Text string
		IDs          []int32 `json:"greedy_ids"`
	}
	NLL []struct {
		Text     string
		IDs      []int32
		PerToken []float64 `json:"per_token_nll"`
		Mean     float64   `json:"mean_nll"`
	}
}

func readStories(t *testing.T) (dir string, want stories) {
	t.Helper()
	dir = quanttest.Shared(t, "data", "models", "stories260K")
	text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir, want
}

// storyEngine opens a form of the model without any rounding but that of its weights.
func storyEngine(t *testing.T, path, table string) *Engine {
	t.Helper()
	e, err := Open(Options{Model: path, Table: table, KVType: "f32", MaxSeqs: 4, BatchTokens: 256, ChunkTokens: 128}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// convertStories writes the model as a GGUF file of the named type.
func convertStories(t *testing.T, dir, kind string) string {
	t.Helper()
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	mix, err := quant.ParseMix(kind)
	if err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(t.TempDir(), "stories-"+kind+".gguf")
	if err := convert.ToGGUF(t.Context(), src, dst, convert.Options{Mix: mix}); err != nil {
		t.Fatal(err)
	}
	return dst
}

// TestStories: the trained model as llama2.c file and as converted GGUF tells the same
// stories as the independent program, token by token, with its log-probabilities.
func TestStories(t *testing.T) {
	dir, want := readStories(t)
	for name, path := range map[string]string{"llama2.c": dir, "GGUF F32": convertStories(t, dir, "F32")} {
		for _, table := range kernels.Tables() {
			if raceDetector && table == kernels.Reference {
				continue
			}
			t.Run(name+"/"+table.Name, func(t *testing.T) {
				e := storyEngine(t, path, table.Name)
				for _, g := range want.Greedy {
					prompt := e.Tokenizer().Encode(nil, g.Prompt, tokenizer.EncodeOptions{AddSpecial: true})
					ids, text := tell(t, e, prompt, len(g.IDs)-len(prompt))
					if got := slices.Concat(prompt, ids); !slices.Equal(got, g.IDs) || g.Prompt+text != g.Text {
						t.Errorf("after %q it tells %v %q, want %v %q", g.Prompt, got, text, g.IDs, g.Text)
					}
				}
				for _, n := range want.NLL {
					got := scoreText(t, e, n.IDs)
					for i, want := range n.PerToken {
						if math.Abs(got[i]-want) > 1e-3 {
							t.Errorf("%q: token %d costs %.5f, want %.5f", n.Text, i+1, got[i], want)
						}
					}
				}
			})
		}
	}
}

// TestStoriesQuantized: eight bits in weights and activations cost little. The worst text
// showed 0.0116 nats a token on every table; the bound is twice that.
func TestStoriesQuantized(t *testing.T) {
	dir, want := readStories(t)
	e := storyEngine(t, convertStories(t, dir, "Q8_0"), "auto")
	for _, n := range want.NLL {
		var sum float64
		for _, v := range scoreText(t, e, n.IDs) {
			sum += v
		}
		if mean := sum / float64(len(n.IDs)-1); math.Abs(mean-n.Mean) > 0.023 {
			t.Errorf("%q costs %.4f nats a token in Q8_0, %.4f in F32", n.Text, mean, n.Mean)
		}
	}
}

// tell continues a prompt greedily.
func tell(t *testing.T, e *Engine, prompt []int32, n int) (ids []int32, text string) {
	t.Helper()
	p := sample.Default()
	p.Temperature, p.IgnoreEOS = 0, true
	a := read(t, submit(t, e, Request{Prompt: prompt, Sampling: p, N: 1, MaxTokens: n, Logprobs: -1, PromptLogprobs: -1}))
	for _, tok := range a.tokens {
		ids = append(ids, tok.ID)
	}
	return ids, a.text
}

// scoreText returns the cost in nats of each token after the first.
func scoreText(t *testing.T, e *Engine, ids []int32) (nll []float64) {
	t.Helper()
	s := submit(t, e, Request{Prompt: ids, Sampling: sample.Default(), N: 1, Logprobs: -1, PromptLogprobs: 0})
	read(t, s)
	for _, tok := range s.Prompt()[1:] {
		nll = append(nll, -float64(tok.Logprob))
	}
	return nll
}

func submit(t *testing.T, e *Engine, r Request) *Stream {
	t.Helper()
	s, err := e.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// answer is what one sequence gave.
type answer struct {
	text   string
	tokens []Token
	last   Event
}

// read follows the stream of a request with one sequence to its end.
func read(t *testing.T, s *Stream) (a answer) {
	t.Helper()
	for {
		ev, err := s.Next(t.Context())
		if err != nil {
			return a
		}
		a.text += ev.Text
		a.tokens = append(a.tokens, ev.Tokens...)
		a.last = ev
	}
}
