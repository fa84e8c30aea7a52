package model_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/quant/safetensors"
)

// decoders are the golden models that predict next tokens.
var decoders = []string{"llama-tied", "llama-untied", "llama3-rope", "llama-bf16", "qwen2", "qwen3", "gemma2",
	"gemma3", "phi3", "mistral", "mixtral", "qwen3_moe", "gpt2", "gpt_neox", "olmo2", "smollm3", "granite", "gpt_oss"}

type prompt struct {
	IDs     []int32
	Logits  string
	Greedy  []int32
	Margins []float32
}

// golden is a model directory with the values that an independent program computed in
// float64.
type golden struct {
	dir     string
	src     quant.Source
	tensors quant.Source
	Prompts []prompt
}

func openGolden(t *testing.T, name string) *golden {
	t.Helper()
	g := &golden{dir: quanttest.Shared(t, "data", "models", "golden", "arch", name)}
	readJSON(t, filepath.Join(g.dir, "expected.json"), g)
	g.src = open(t, g.dir)
	var err error
	if g.tensors, err = safetensors.Open(filepath.Join(g.dir, "expected.safetensors")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.tensors.Close() })
	return g
}

func open(t *testing.T, path string) quant.Source {
	t.Helper()
	src, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// values returns an expected tensor, flat.
func (g *golden) values(t *testing.T, name string) []float32 {
	t.Helper()
	x, err := g.tensors.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, x.Elems())
	quant.Dequantize(x.DType, out, x.Data)
	return out
}

// session runs one sequence of a model on one table.
type session struct {
	t        *testing.T
	runner   *kernels.Runner
	length   int
	adapters []int32 // of the one sequence, nil for none
}

func newSession(t *testing.T, src quant.Source, table *kernels.Table, o model.Options) *session {
	t.Helper()
	m, err := model.Load(src, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := kernels.NewRunner(m.Program, table, kernels.Limits{Tokens: 64, LogitRows: 64, Seqs: 1, Blocks: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); m.Program.Close() })
	return &session{t: t, runner: r}
}

// feed appends ids and returns the logits of every one, flat.
func (s *session) feed(ids ...int32) []float32 {
	s.t.Helper()
	n := int32(len(ids))
	b := &kernels.Batch{Tokens: ids, RowStart: []int32{0, n}, SeqLen: []int32{int32(s.length) + n},
		TableStart: []int32{0, 8}, Tables: []int32{3, 1, 0, 2, 7, 5, 4, 6}, Adapters: s.adapters}
	for i := range n {
		p := int32(s.length) + i
		b.Positions = append(b.Positions, p)
		b.Slots = append(b.Slots, b.Tables[p/kernels.BlockTokens]*kernels.BlockTokens+p%kernels.BlockTokens)
		b.LogitRows = append(b.LogitRows, i)
	}
	used := (s.length + len(ids) + kernels.BlockTokens - 1) / kernels.BlockTokens
	b.Tables, b.TableStart[1] = b.Tables[:used], int32(used)
	if err := s.runner.Run(b); err != nil {
		s.t.Fatal(err)
	}
	s.length += len(ids)
	out, _, _ := s.runner.Output()
	return slices.Clone(out)
}

// compare fails where got is further from want than the largest difference allowed.
func compare(t *testing.T, what string, got, want []float32, allowed float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= allowed) {
			t.Fatalf("%s: value %d is %v, want %v: off by %.3g, allowed %.3g", what, i, got[i], want[i], d, allowed)
		}
	}
}

func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

// exact is a program without any rounding below float32 (for F32 weights).
var exact = model.Options{KV: kernels.KVF32}

// TestGolden: every family gives the logits and the greedy text of an independent
// float64 program, on every table, from its published file form.
func TestGolden(t *testing.T) {
	for _, name := range decoders {
		for _, table := range kernels.Tables() {
			t.Run(fmt.Sprintf("%s/%s", name, table.Name), func(t *testing.T) {
				g := openGolden(t, name)
				g.check(t, g.src, table)
			})
		}
	}
}

// check runs the golden prompts on a model and compares logits and greedy text.
func (g *golden) check(t *testing.T, src quant.Source, table *kernels.Table) {
	t.Helper()
	float32s := src.Infos()[0].DType == quant.F32
	for k, p := range g.Prompts {
		what := fmt.Sprintf("prompt %d", k)
		s := newSession(t, src, table, exact)
		logits := s.feed(p.IDs...)
		sureMargin := float32(5e-3) // every margin of the golden set is larger
		if want := g.values(t, p.Logits); float32s {
			compare(t, what, logits, want, 1e-4)
		} else {
			sureMargin = 0.3 * float32(compareRounded(t, what, logits, want))
		}
		s.checkGreedy(what, logits[len(logits)-len(logits)/len(p.IDs):], p, sureMargin)
	}
}

// TestGoldenGGUF: the same from a GGUF file that was converted from the directory, and
// from the directory that was converted back.
func TestGoldenGGUF(t *testing.T) {
	for _, name := range decoders {
		t.Run(name, func(t *testing.T) {
			g := openGolden(t, name)
			path := filepath.Join(t.TempDir(), "model.gguf")
			if err := convert.ToGGUF(t.Context(), g.src, path, convert.Options{}); err != nil {
				t.Fatal(err)
			}
			file := open(t, path)
			g.check(t, file, kernels.Tables()[0])
			back := filepath.Join(t.TempDir(), "back")
			if err := convert.ToHF(t.Context(), file, back, convert.HFOptions{}); err != nil {
				t.Fatal(err)
			}
			g.check(t, open(t, back), kernels.Tables()[0])
		})
	}
}

// TestSameBitsFromEveryForm: the logits of a model do not depend on the file format that
// it came in, although GGUF orders the rows of queries and keys in another way.
func TestSameBitsFromEveryForm(t *testing.T) {
	g := openGolden(t, "llama3-rope")
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := convert.ToGGUF(t.Context(), g.src, path, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, table := range kernels.Tables() {
		a := newSession(t, g.src, table, exact).feed(g.Prompts[2].IDs...)
		b := newSession(t, open(t, path), table, exact).feed(g.Prompts[2].IDs...)
		compare(t, table.Name, b, a, 0)
	}
}

// checkGreedy continues from the last logits with the largest each time, up to the first
// step that the model's precision cannot decide.
func (s *session) checkGreedy(what string, last []float32, p prompt, sureMargin float32) {
	s.t.Helper()
	for step, id := range p.Greedy {
		if p.Margins[step] < sureMargin {
			return
		}
		if next := argmax(last); next != id {
			s.t.Fatalf("%s: greedy token %d is %d, want %d (margin %v)", what, step, next, id, p.Margins[step])
		}
		last = s.feed(id)
	}
}

// compareRounded allows what bfloat16 activations cost: the golden set's README states
// 4 % of the logits' standard deviation in the mean, 0.35 of it at most. It returns the
// standard deviation.
func compareRounded(t *testing.T, what string, got, want []float32) float64 {
	t.Helper()
	var sum, square, diff float64
	for i := range want {
		sum += float64(want[i])
		square += float64(want[i]) * float64(want[i])
		diff += math.Pow(float64(got[i])-float64(want[i]), 2)
	}
	n := float64(len(want))
	std := math.Sqrt(square/n - sum/n*sum/n)
	if rms := math.Sqrt(diff / n); !(rms <= 0.04*std) {
		t.Fatalf("%s: off by %.3g in the mean, allowed %.3g", what, rms, 0.04*std)
	}
	compare(t, what, got, want, 0.35*std)
	return std
}

// TestGoldenEncoder: the encoder's hidden states and both ways to pool them.
func TestGoldenEncoder(t *testing.T) {
	var want struct {
		Inputs []struct {
			IDs               []int32
			Hidden, Mean, Cls string
		}
	}
	g := openGolden(t, "bert")
	readJSON(t, filepath.Join(g.dir, "expected.json"), &want)
	for _, table := range kernels.Tables() {
		for _, in := range want.Inputs {
			for pooling, name := range map[int]string{model.PoolNone: in.Hidden, model.PoolMean: in.Mean, model.PoolFirst: in.Cls} {
				s := newSession(t, pooled{g.src, pooling}, table, exact)
				compare(t, fmt.Sprintf("%s: %s", table.Name, name), s.feed(in.IDs...), g.values(t, name), 1e-5)
			}
		}
	}
}

// pooled is a source that asks for another way to pool.
type pooled struct {
	quant.Source
	kind int
}

func (p pooled) Meta() *quant.Meta {
	m := p.Source.Meta().Clone()
	m.Set("bert.pooling_type", uint32(p.kind))
	return m
}

// TestGoldenClassifier: a sequence-classification head's score at every position.
func TestGoldenClassifier(t *testing.T) {
	var want struct {
		Inputs []struct {
			IDs    []int32
			Scores string
		}
	}
	g := openGolden(t, "llama-reward")
	readJSON(t, filepath.Join(g.dir, "expected.json"), &want)
	for _, table := range kernels.Tables() {
		for _, in := range want.Inputs {
			s := newSession(t, g.src, table, exact)
			compare(t, fmt.Sprintf("%s: %s", table.Name, in.Scores), s.feed(in.IDs...), g.values(t, in.Scores), 1e-4)
		}
	}
}

// hiding is a source without one of its tensors, or with one more.
type hiding struct {
	quant.Source
	hide, add string
}

func (h hiding) Infos() []quant.Tensor {
	var out []quant.Tensor
	for _, t := range h.Source.Infos() {
		if t.Name != h.hide {
			out = append(out, t)
		}
	}
	if h.add != "" {
		out = append(out, quant.Tensor{Name: h.add, DType: quant.F32, Shape: []int{1}})
	}
	return out
}

func (h hiding) Tensor(name string) (quant.Tensor, error) {
	if name == h.hide {
		return quant.Tensor{}, fmt.Errorf("%q: %w", name, quant.ErrNoTensor)
	}
	return h.Source.Tensor(name)
}

// TestLoadRefuses: what a file lacks or has too much is named.
func TestLoadRefuses(t *testing.T) {
	g := openGolden(t, "qwen2")
	check := func(src quant.Source, want string) {
		t.Helper()
		if _, err := model.Load(src, exact); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %q", err, want)
		}
	}
	check(hiding{g.src, "blk.1.ffn_up.weight", ""}, "blk.1.ffn_up.weight")
	check(hiding{g.src, "", "blk.0.attn_mystery.weight"}, "blk.0.attn_mystery.weight")
	check(edited{g.src, "general.architecture", "mamba9"}, "mamba9")
	check(edited{g.src, "qwen2.block_count", uint32(0)}, "block_count is 0")
	check(edited{g.src, "qwen2.embedding_length", uint32(1 << 31)}, "embedding_length")
	check(edited{g.src, "qwen2.attention.head_count_kv", uint32(3)}, "head_count_kv")
	check(edited{g.src, "qwen2.attention.key_length", uint32(1000)}, "attn_q")
	check(edited{g.src, "qwen2.rope.scaling.type", "spiral"}, "spiral")
}

// edited is a source with another value under one key.
type edited struct {
	quant.Source
	key   string
	value any
}

func (e edited) Meta() *quant.Meta {
	m := e.Source.Meta().Clone()
	m.Set(e.key, e.value)
	return m
}
