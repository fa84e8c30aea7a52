package param

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/engine/model/shape"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// small returns a shape of an architecture that a test can hold, with an odd vocabulary.
func small(arch string) shape.Shape {
	s := shape.Shape{Name: "small", Arch: arch, Layers: 2, Dim: 64, FF: 96, Heads: 4, KVHeads: 4, HeadDim: 16, Vocab: 97, Context: 32, RopeBase: 1e4, Tied: true}
	switch arch {
	case "qwen3moe", "gpt-oss":
		s.Experts, s.ExpertsUsed, s.ExpertFF = 4, 2, 32
	}
	switch arch {
	case "gpt2":
		s.RopeBase = 0
	case "gpt-oss", "gptneox", "phi3":
		s.Tied = false
	}
	return s
}

var archs = []string{"llama", "qwen2", "qwen3", "qwen3moe", "gemma2", "gemma3", "phi3", "gpt-oss", "olmo2", "smollm3", "granite", "gptneox", "gpt2"}

func newSet(t *testing.T, s shape.Shape, p Precision) *Set {
	t.Helper()
	set, err := New(s.Meta(), s.Tensors(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set
}

// TestExport: a fresh model of every architecture is one that the engine builds, and
// written as GGUF and as a Hugging Face directory it has the same bits again.
func TestExport(t *testing.T) {
	for _, arch := range archs {
		for _, p := range []Precision{F32, BF16} {
			set := newSet(t, small(arch), p)
			set.Init(7)
			trained(set)
			m, err := model.Load(set, model.Options{})
			if err != nil {
				t.Fatalf("%s in %v: %v", arch, p, err)
			}
			m.Program.Close()
			checkExport(t, set, p)
		}
	}
}

// trained moves every element to where few bits of it are zero.
func trained(set *Set) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, p := range set.Params() {
		for i := range p.Master {
			p.Master[i] += float32(0.01 * random.NormFloat64())
		}
		p.Round()
	}
}

func checkExport(t *testing.T, set *Set, p Precision) {
	t.Helper()
	ctx := context.Background()
	arch := set.Meta().String("general.architecture", "")
	file, dir := filepath.Join(t.TempDir(), "m.gguf"), filepath.Join(t.TempDir(), "hf")
	if err := convert.ToGGUF(ctx, set, file, convert.Options{}); err != nil {
		t.Fatalf("%s: %v", arch, err)
	}
	sameTensors(t, set, file)
	if err := convert.ToHF(ctx, set, dir, convert.HFOptions{Type: strings.ToUpper(p.String())}); err != nil {
		t.Fatalf("%s: %v", arch, err)
	}
	back := filepath.Join(t.TempDir(), "back.gguf") // rows of Q and K in GGUF's order again
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatalf("%s: %v", arch, err)
	}
	defer src.Close()
	if err := convert.ToGGUF(ctx, src, back, convert.Options{}); err != nil {
		t.Fatalf("%s: %v", arch, err)
	}
	sameTensors(t, set, back)
}

func sameTensors(t *testing.T, set *Set, file string) {
	t.Helper()
	src, err := checkpoint.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if got, want := len(src.Infos()), len(set.Infos()); got != want {
		t.Errorf("%s has %d tensors, want %d", file, got, want)
	}
	for _, info := range set.Infos() {
		want, _ := set.Tensor(info.Name)
		got, err := src.Tensor(info.Name)
		if err != nil || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%s: %s is %v %v, want %v %v with the same bits (%v)", set.Meta().String("general.architecture", ""), info.Name, got.DType, got.Shape, want.DType, want.Shape, err)
		}
	}
}

// TestLoad: masters are the checkpoint's values whatever its type, copies are rounded
// once, and the engine builds on them.
func TestLoad(t *testing.T) {
	for _, name := range []string{"llama-tied", "llama-bf16", "llama3-rope", "gpt_oss", "bert", "llama-reward"} {
		src, err := checkpoint.Open(quanttest.Shared(t, "data", "models", "golden", "arch", name))
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		for _, precision := range []Precision{F32, BF16} {
			set, err := Load(src, precision, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			for _, p := range set.Params() {
				checkLoaded(t, src, p, precision)
			}
			m, err := model.Load(set, model.Options{})
			if err != nil {
				t.Fatalf("%s in %v: %v", name, precision, err)
			}
			m.Program.Close()
		}
	}
}

func checkLoaded(t *testing.T, src quant.Source, p *Param, precision Precision) {
	t.Helper()
	from, err := src.Tensor(p.Name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(p.Name, "rope_") {
		if !p.Frozen() || &p.Compute.Data[0] != &from.Data[0] {
			t.Errorf("%s is trained", p.Name)
		}
		return
	}
	want, got := make([]float32, from.Elems()), make([]float32, from.Elems())
	quant.Dequantize(from.DType, want, from.Data)
	if !slices.Equal(p.Master, want) {
		t.Errorf("%s: other values than the checkpoint's", p.Name)
	}
	if precision == BF16 && p.Matrix() {
		for i, v := range want {
			want[i] = quant.BF16ToF32(quant.F32ToBF16(v))
		}
	}
	quant.Dequantize(p.Compute.DType, got, p.Compute.Data)
	if !slices.Equal(got, want) || (p.Compute.DType == quant.BF16) != (precision == BF16 && p.Matrix()) {
		t.Errorf("%s: computes with %v, other values than the rounded masters", p.Name, p.Compute.DType)
	}
}

// TestFrozen: a frozen parameter is the source's memory; others are as ever.
func TestFrozen(t *testing.T) {
	src, err := checkpoint.Open(quanttest.Shared(t, "data", "models", "golden", "arch", "llama-tied"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	set, err := Load(src, BF16, func(name string) bool { return strings.Contains(name, "attn") })
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	q, _ := src.Tensor("blk.0.attn_q.weight")
	p := set.Param("blk.0.attn_q.weight")
	if !p.Frozen() || p.Grad != nil || set.Gradient(p.Name) != nil || &p.Compute.Data[0] != &q.Data[0] {
		t.Errorf("%+v", p)
	}
	masters := set.Masters()
	if got, err := masters.Tensor(p.Name); err != nil || &got.Data[0] != &q.Data[0] {
		t.Errorf("the masters' view gives %v of another memory (%v)", got.DType, err)
	}
	n := 0
	for _, info := range src.Infos() {
		if !strings.Contains(info.Name, "attn") {
			n += info.Elems()
		}
	}
	if set.Trainable() != n {
		t.Errorf("%d elements are trained, want %d", set.Trainable(), n)
	}
}

// TestMemory: masters, gradients and copies are aligned, apart, and where the program
// and the optimizer look for them.
func TestMemory(t *testing.T) {
	set := newSet(t, small("llama"), BF16)
	for i, p := range set.Params() {
		fill(p.Grad, float32(i+1))
		fill(p.Master, -float32(i+1))
		p.Round()
		for _, at := range []unsafe.Pointer{unsafe.Pointer(&p.Master[0]), unsafe.Pointer(&p.Grad[0]), unsafe.Pointer(&p.Compute.Data[0])} {
			if uintptr(at)%64 != 0 {
				t.Errorf("%s lies at %x", p.Name, at)
			}
		}
	}
	for i, p := range set.Params() {
		compute := make([]float32, p.Elems())
		quant.Dequantize(p.Compute.DType, compute, p.Compute.Data)
		for j := range p.Elems() {
			if set.Gradient(p.Name)[j] != float32(i+1) || p.Master[j] != -float32(i+1) || compute[j] != p.Master[j] {
				t.Fatalf("%s, element %d: another parameter's memory", p.Name, j)
			}
		}
	}
	averaged := set.With(func(p *Param) []float32 { return p.Grad })
	if got, err := averaged.Tensor("output_norm.weight"); err != nil || got.DType != quant.F32 || &floats(got.Data)[0] != &set.Gradient("output_norm.weight")[0] {
		t.Errorf("other values give %v (%v)", got.DType, err)
	}
	set.ZeroGrad()
	for _, p := range set.Params() {
		if slices.Max(p.Grad) != 0 || slices.Min(p.Master) != slices.Max(p.Master) {
			t.Errorf("%s: the gradient is not zero, or the master was touched", p.Name)
		}
	}
}

// TestInit: deviations as documented, and values that depend on seed and name alone.
func TestInit(t *testing.T) {
	s := small("qwen2")
	set := newSet(t, s, F32)
	set.Init(1)
	for _, p := range set.Params() {
		want, mean := initDeviation, 0.0
		switch {
		case strings.HasSuffix(p.Name, "norm.weight"):
			want, mean = 0, 1
		case strings.HasSuffix(p.Name, ".bias"):
			want = 0
		case strings.Contains(p.Name, "attn_output") || strings.Contains(p.Name, "ffn_down"):
			want = initDeviation / 2 // sqrt(2 x 2 layers)
		}
		if got := deviation(p.Master, mean); math.Abs(got-want) > 0.1*want {
			t.Errorf("%s: deviation %v from %v, want %v", p.Name, got, mean, want)
		}
	}
	other, err := New(s.Meta(), []quant.Tensor{{Name: "blk.1.ffn_up.weight", Shape: []int{96, 64}}}, BF16)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	up := other.Params()[0]
	for seed, same := range map[uint64]bool{1: true, 2: false} {
		other.Init(seed)
		if slices.Equal(up.Master, set.Param(up.Name).Master) != same {
			t.Errorf("seed %d: values equal to seed 1's: %v, want %v", seed, !same, same)
		}
	}
	if slices.Equal(set.Param("blk.0.ffn_up.weight").Master, set.Param(up.Name).Master) {
		t.Error("two layers start with the same values")
	}
}

func deviation(v []float32, mean float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += (float64(x) - mean) * (float64(x) - mean)
	}
	return math.Sqrt(sum / float64(len(v)))
}

func TestRefused(t *testing.T) {
	s := small("llama")
	twice := append(s.Tensors(), s.Tensors()[0])
	if _, err := New(s.Meta(), twice, F32); err == nil || !strings.Contains(err.Error(), "token_embd.weight") {
		t.Errorf("a name twice gives %v", err)
	}
	if _, err := ParsePrecision("f16"); err == nil || !strings.Contains(err.Error(), "bf16") {
		t.Errorf("an unknown precision gives %v", err)
	}
	if p, err := ParsePrecision("bf16"); err != nil || p != BF16 {
		t.Errorf("bf16 gives %v, %v", p, err)
	}
}
