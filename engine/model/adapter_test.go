package model_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/ingot-llm/ingot/engine/lora"
	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/convert"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/quant/safetensors"
)

// openAdapted returns PEFT's golden adapter with the model that it is for.
func openAdapted(t *testing.T) (g *golden, dir string) {
	t.Helper()
	dir = quanttest.Shared(t, "data", "models", "golden", "lora", "all-r4")
	g = openGolden(t, "llama-tied")
	*g = golden{dir: g.dir, src: g.src}
	readJSON(t, filepath.Join(dir, "expected.json"), g)
	var err error
	if g.tensors, err = safetensors.Open(filepath.Join(dir, "expected.safetensors")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.tensors.Close() })
	return g, dir
}

// TestGoldenAdapter: PEFT's adapter beside the weights and merged into them, over the
// published files and over a GGUF file, whose rows of queries and keys lie otherwise,
// gives PEFT's logits and greedy text on every table; the base alone keeps its own.
func TestGoldenAdapter(t *testing.T) {
	g, dir := openAdapted(t)
	path := filepath.Join(t.TempDir(), "base.gguf")
	if err := convert.ToGGUF(t.Context(), g.src, path, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	for form, src := range map[string]quant.Source{"Hugging Face": g.src, "GGUF": open(t, path)} {
		a, err := lora.Open(dir, src)
		if err != nil {
			t.Fatal(err)
		}
		merged, err := lora.Merge(src, a)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range kernels.Tables() {
			g.checkAdapted(t, form+" "+table.Name, newAdapted(t, src, a, table))
			if table == kernels.Tables()[0] {
				g.checkAdapted(t, form+" merged", func() *session { return newSession(t, merged, table, exact) })
			}
		}
	}
}

// newAdapted returns sessions of a model beside which adapter a lies twice, the second of
// which they take.
func newAdapted(t *testing.T, src quant.Source, a *lora.Adapter, table *kernels.Table) func() *session {
	stack, err := lora.NewStack(kernels.Tables()[0], src, []*lora.Adapter{a, a})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	o := exact
	o.Adapters = stack.Of
	return func() *session {
		s := newSession(t, src, table, o)
		s.adapters = []int32{2}
		return s
	}
}

func (g *golden) checkAdapted(t *testing.T, form string, start func() *session) {
	t.Helper()
	for k, p := range g.Prompts {
		what := fmt.Sprintf("%s, prompt %d", form, k)
		s := start()
		logits := s.feed(p.IDs...)
		compare(t, what, logits, g.values(t, p.Logits), 1e-4)
		s.checkGreedy(what, logits[len(logits)-len(logits)/len(p.IDs):], p, 5e-3)
	}
}

// TestAdapterAbsent: a sequence without an adapter has the bits of a model without any.
func TestAdapterAbsent(t *testing.T) {
	g, dir := openAdapted(t)
	a, err := lora.Open(dir, g.src)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range kernels.Tables() {
		with := newAdapted(t, g.src, a, table)()
		with.adapters = nil
		without := newSession(t, g.src, table, model.Options{KV: kernels.KVF32})
		compare(t, table.Name, with.feed(g.Prompts[2].IDs...), without.feed(g.Prompts[2].IDs...), 0)
	}
}
