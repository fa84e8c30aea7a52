package lora

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
	"github.com/ingot-llm/ingot/quant/hf"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/quant/safetensors"
)

func openModel(t *testing.T, name string) quant.Source {
	t.Helper()
	src, err := checkpoint.Open(quanttest.Shared(t, "data", "models", "golden", "arch", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// randomAdapter has a share in every linear module.
func randomAdapter(t *testing.T, src quant.Source, c Config) *Adapter {
	t.Helper()
	projections, err := hf.Projections(src)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	normal := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(random.NormFloat64())
		}
		return out
	}
	a := &Adapter{Config: c}
	for _, p := range projections {
		part := Part{Projection: p, Rank: c.Rank, Scale: c.Scale(), A: normal(c.Rank * p.In), B: normal(p.Out * c.Rank)}
		if c.DoRA {
			part.Magnitude = normal(p.Out)
		}
		a.Parts = append(a.Parts, part)
	}
	return a
}

// TestThereAndBack: what Write makes Open reads again, for families whose modules lie in
// every way: as they are, turned, by head, with rows in pairs.
func TestThereAndBack(t *testing.T) {
	for _, name := range []string{"llama-untied", "gpt2", "gpt_neox", "phi3", "qwen3_moe"} {
		src := openModel(t, name)
		for _, c := range []Config{{Rank: 3, Alpha: 6}, {Rank: 16, Alpha: 8, RSLoRA: true}, {Rank: 4, Alpha: 8, DoRA: true}} {
			want := randomAdapter(t, src, c)
			dir := filepath.Join(t.TempDir(), "adapter")
			if err := Write(dir, want, name); err != nil {
				t.Fatal(err)
			}
			got, err := Open(dir, src)
			if err != nil {
				t.Fatal(err)
			}
			if got.Config != want.Config || len(got.Parts) != len(want.Parts) || len(want.Parts) == 0 {
				t.Fatalf("%s: %+v with %d parts, want %+v with %d", name, got.Config, len(got.Parts), want.Config, len(want.Parts))
			}
			for i, p := range got.Parts {
				if w := want.Parts[i]; p.Module != w.Module || p.Scale != w.Scale || !slices.Equal(p.A, w.A) || !slices.Equal(p.B, w.B) || !slices.Equal(p.Magnitude, w.Magnitude) {
					t.Errorf("%s: %s came back otherwise", name, p.Module)
				}
			}
		}
	}
}

// TestMerge: the exported weight of a module is its own plus Scale * B A as they lie in the
// adapter's files, with DoRA brought to the magnitudes there, whatever the order of rows
// between, also from a GGUF file.
func TestMerge(t *testing.T) {
	for _, dora := range []bool{false, true} {
		for _, name := range []string{"llama-untied", "gpt2", "gpt_neox"} {
			checkMerge(t, name, Config{Rank: 4, Alpha: 3, DoRA: dora})
		}
	}
}

func checkMerge(t *testing.T, name string, c Config) {
	t.Helper()
	src := openModel(t, name)
	file := filepath.Join(t.TempDir(), "base.gguf")
	if err := convert.ToGGUF(t.Context(), src, file, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	base, err := checkpoint.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	a := randomAdapter(t, base, c)
	dir, out := filepath.Join(t.TempDir(), "adapter"), filepath.Join(t.TempDir(), "merged")
	if err := Write(dir, a, name); err != nil {
		t.Fatal(err)
	}
	merged, err := Merge(base, a)
	if err != nil {
		t.Fatal(err)
	}
	if err := convert.ToHF(t.Context(), merged, out, convert.HFOptions{Type: "F32"}); err != nil {
		t.Fatal(err)
	}
	compareMerged(t, name, a, dir, out)
}

// compareMerged works out of the files alone what the merged ones must hold.
func compareMerged(t *testing.T, name string, a *Adapter, adapter, merged string) {
	t.Helper()
	base := quanttest.Shared(t, "data", "models", "golden", "arch", name)
	w, parts, got := matrices(t, base), matrices(t, adapter), matrices(t, merged)
	for _, p := range a.Parts {
		b, low, m := parts[prefix+p.Module+".lora_B.weight"], parts[prefix+p.Module+".lora_A.weight"], parts[prefix+p.Module+".lora_magnitude_vector"]
		if (m != nil) != a.DoRA {
			t.Fatalf("%s: %s has %d magnitudes", name, p.Module, len(m))
		}
		for o := range p.Out {
			place := func(i int) int {
				if p.Conv1D {
					return i*p.Out + o
				}
				return o*p.In + i
			}
			row, squares := make([]float64, p.In), 0.0
			for i := range row {
				row[i] = float64(w[p.Module+".weight"][place(i)])
				for r := range p.Rank {
					row[i] += 0.75 * float64(b[o*p.Rank+r]) * float64(low[r*p.In+i])
				}
				squares += row[i] * row[i]
			}
			stretch := 1.0
			if m != nil {
				stretch = float64(m[o]) / math.Sqrt(squares)
			}
			for i, v := range row {
				if v *= stretch; math.Abs(float64(got[p.Module+".weight"][place(i)])-v) > 1e-4 {
					t.Fatalf("%s: %s[%d, %d] is %g, want %g", name, p.Module, o, i, got[p.Module+".weight"][place(i)], v)
				}
			}
		}
	}
}

// matrices returns all tensors of a folder's safetensors by name.
func matrices(t *testing.T, dir string) map[string][]float32 {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*model.safetensors"))
	f, err := safetensors.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string][]float32{}
	for _, raw := range f.Tensors() {
		x, err := raw.Quant(raw.Name)
		if err != nil {
			t.Fatal(err)
		}
		out[raw.Name] = make([]float32, x.Elems())
		quant.Dequantize(x.DType, out[raw.Name], x.Data)
	}
	return out
}

// TestGoldenMerge: the merged weights of PEFT.
func TestGoldenMerge(t *testing.T) {
	dir := quanttest.Shared(t, "data", "models", "golden", "lora", "all-r4")
	src := openModel(t, "llama-tied")
	a, err := Open(dir, src)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := Merge(src, a)
	if err != nil {
		t.Fatal(err)
	}
	expected, err := safetensors.Open(filepath.Join(dir, "expected.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer expected.Close()
	for name, weight := range map[string]string{"merged.model.layers.0.self_attn.q_proj.weight": "blk.0.attn_q.weight", "merged.model.layers.1.self_attn.v_proj.weight": "blk.1.attn_v.weight"} {
		want, err := expected.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := merged.Tensor(weight)
		if err != nil {
			t.Fatal(err)
		}
		x, y := make([]float32, want.Elems()), make([]float32, got.Elems())
		quant.Dequantize(want.DType, x, want.Data)
		quant.Dequantize(got.DType, y, got.Data)
		for i := range x {
			if math.Abs(float64(x[i]-y[i])) > 1e-5 {
				t.Fatalf("%s: element %d is %g, want %g", weight, i, y[i], x[i])
			}
		}
	}
}

// edit returns a copy of the golden adapter's folder whose config has other fields.
func edit(t *testing.T, fields map[string]any) string {
	t.Helper()
	from, dir := quanttest.Shared(t, "data", "models", "golden", "lora", "all-r4"), t.TempDir()
	weights, err := os.ReadFile(filepath.Join(from, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(from, configFile))
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	for name, v := range fields {
		config[name] = v
	}
	raw, _ = json.Marshal(config)
	for name, data := range map[string][]byte{configFile: raw, weightsFile: weights} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestRefused: what an adapter asks for that is not done here is named.
func TestRefused(t *testing.T) {
	src := openModel(t, "llama-tied")
	for field, v := range map[string]any{
		"use_qalora": true, "bias": "all", "modules_to_save": []string{"lm_head"}, "peft_type": "IA3", "r": 5, "lora_alpha": "much",
		"rank_pattern": map[string]int{"(": 3}, "layer_replication": [][]int{{0, 1}},
	} {
		if _, err := Open(edit(t, map[string]any{field: v}), src); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(field, "use_")) && !strings.Contains(err.Error(), "pattern") && !strings.Contains(err.Error(), "rank") {
			t.Errorf("%s = %v gives %v", field, v, err)
		}
	}
	if _, err := Open(edit(t, nil), openModel(t, "gpt2")); err == nil || !strings.Contains(err.Error(), "model.layers.0") {
		t.Errorf("the adapter of another model gives %v", err)
	}
	if _, err := Open(edit(t, nil), openModel(t, "qwen3")); err == nil {
		t.Error("the adapter of a model of another size is taken")
	}
	if _, err := Open(t.TempDir(), src); err == nil || !strings.Contains(err.Error(), configFile) {
		t.Errorf("an empty folder gives %v", err)
	}
}

// TestPatterns: PEFT's patterns of ranks and alphas, by a module's name or its end.
func TestPatterns(t *testing.T) {
	src := openModel(t, "llama-tied")
	a, err := Open(edit(t, map[string]any{
		"alpha_pattern": map[string]float64{"layers.1.self_attn.q_proj": 1, `.*mlp.up_proj`: 2}, "use_rslora": true,
		"rank_pattern": map[string]int{"self_attn.k_proj": 4},
	}), src)
	if err != nil {
		t.Fatal(err)
	}
	for weight, want := range map[string]float32{"blk.0.attn_q.weight": 4, "blk.1.attn_q.weight": 0.5, "blk.0.ffn_up.weight": 1, "blk.0.attn_k.weight": 4} {
		if p := a.Part(weight); p == nil || p.Scale != want {
			t.Errorf("%s: %+v, want the scale %g", weight, p.Scale, want)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {".*v": 1.5}}`))
	f.Add([]byte(`{"peft_type": "LORA", "r": 1e9}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseConfig(raw)
		if err != nil {
			return
		}
		got := c.config("model.layers.0.self_attn.q_proj")
		if c.R < 1 || math.IsNaN(got.Alpha) {
			t.Errorf("%+v gives %+v", c, got)
		}
	})
}
