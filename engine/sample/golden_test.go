package sample

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/quant/safetensors"
)

// goldenCase is one set of parameters in cases.json; what it leaves out is off.
type goldenCase struct {
	Temperature *float32 `json:"temperature"`
	TopK        int      `json:"top_k"`
	TopP        *float32 `json:"top_p"`
	MinP        float32  `json:"min_p"`
	TypicalP    *float32 `json:"typical_p"`
	Repetition  *float32 `json:"repetition_penalty"`
	Presence    float32  `json:"presence_penalty"`
	Frequency   float32  `json:"frequency_penalty"`
	Kept        []int    `json:"kept"`
	Ties        []int    `json:"tie_decided_for_vectors"`
}

func (c *goldenCase) params() *Params {
	p := Default()
	for _, f := range []struct {
		to   *float32
		from *float32
	}{{&p.Temperature, c.Temperature}, {&p.TopP, c.TopP}, {&p.TypicalP, c.TypicalP}, {&p.RepetitionPenalty, c.Repetition}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	p.TopK, p.MinP, p.PresencePenalty, p.FrequencyPenalty = c.TopK, c.MinP, c.Presence, c.Frequency
	return &p
}

// distribution returns the probabilities [V] that Sample draws from, reading with s.
func distribution(t testing.TB, s *Sampler, logits []float32, st *State) []float64 {
	before := slices.Clone(logits)
	if err := s.read([]Draw{{Logits: logits, State: st}}); err != nil {
		t.Fatal(err)
	}
	r := &s.rows[0]
	if err := check(r); err != nil {
		t.Fatal(err)
	}
	c := s.candidates(r, st.params)
	s.restore()
	if !slices.Equal(before, logits) {
		t.Fatal("the logits were not restored")
	}
	probs, sum := make([]float64, len(logits)), total(c)
	for _, x := range c {
		probs[x.id] = x.weight / sum
	}
	return probs
}

// newSampler returns a sampler that reads with the reference.
func newSampler(t testing.TB) *Sampler {
	s := New(nil)
	t.Cleanup(s.Close)
	return s
}

// draw draws one token.
func draw(s *Sampler, logits []float32, st *State) (int32, error) {
	d := []Draw{{Logits: logits, State: st}}
	s.Sample(d)
	return d[0].Token, d[0].Err
}

// TestGolden compares the filtered probabilities with those of the transformers library, on
// every table: within 1e-6, and exactly the same tokens kept.
func TestGolden(t *testing.T) {
	dir := quanttest.Shared(t, "data", "models", "golden", "sample")
	var file struct {
		Contexts [][]int32    `json:"contexts"`
		Cases    []goldenCase `json:"cases"`
	}
	text, err := os.ReadFile(dir + "/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	tensors, err := safetensors.Open(dir + "/probs.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer tensors.Close()
	const vocab = 512
	all, want := floats(t, tensors, "logits"), floats(t, tensors, "probs")
	for _, table := range kernels.Tables() {
		t.Run(table.Name, func(t *testing.T) {
			s := New(table)
			defer s.Close()
			for v, context := range file.Contexts {
				logits := all[v*vocab : (v+1)*vocab]
				for i, c := range file.Cases {
					st := NewState(c.params(), 0, nil)
					for _, id := range context {
						st.Accept(id)
					}
					at := (v*len(file.Cases) + i) * vocab
					compare(t, v, i, distribution(t, s, logits, st), want[at:at+vocab], c.Kept[v], slices.Contains(c.Ties, v))
				}
			}
		})
	}
	if len(file.Contexts) != 6 || len(file.Cases) != 26 {
		t.Errorf("%d vectors and %d cases, want 6 and 26", len(file.Contexts), len(file.Cases))
	}
}

// compare checks one distribution. Where the cut falls among equal logits only the
// probabilities are given, not whose they are.
func compare(t *testing.T, vector, index int, got []float64, want []float32, kept int, ties bool) {
	t.Helper()
	if ties {
		slices.Sort(got)
		want = slices.Clone(want)
		slices.Sort(want)
	}
	n := 0
	for id, p := range got {
		if p > 0 {
			n++
		}
		if (p > 0) != (want[id] > 0) || math.Abs(p-float64(want[id])) > 1e-6 {
			t.Fatalf("vector %d case %d token %d: probability %v, want %v", vector, index, id, p, want[id])
		}
	}
	if n != kept {
		t.Errorf("vector %d case %d: %d tokens kept, want %d", vector, index, n, kept)
	}
}

func floats(t *testing.T, f *safetensors.File, name string) []float32 {
	t.Helper()
	tensor, ok := f.Lookup(name)
	if !ok {
		t.Fatalf("no tensor %q", name)
	}
	out := make([]float32, len(tensor.Data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(tensor.Data[4*i:]))
	}
	return out
}
