package optim

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/quant/safetensors"
	"github.com/ingot-llm/ingot/train/param"
)

func goldenPath(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(quanttest.Shared(t, "data", "models", "golden", "train"), name)
}

func floats(t *testing.T, f *safetensors.File, name string) ([]float32, []int) {
	t.Helper()
	x, ok := f.Lookup(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	values := make([]float32, len(x.Data)/4)
	quant.Dequantize(quant.F32, values, x.Data)
	return values, x.Shape
}

// TestMuonGolden makes the golden step of each shape, on every table: the momentum
// exactly but for rounding, the parameter as near as bf16 products bring it.
func TestMuonGolden(t *testing.T) {
	f, err := safetensors.Open(goldenPath(t, "muon.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, table := range kernels.Tables() {
		for _, shape := range []string{"64x96", "96x64", "64x64"} {
			start, dims := floats(t, f, shape+".param")
			name := "blk.0.ffn_up.weight"
			set, err := param.New(&quant.Meta{}, []quant.Tensor{{Name: name, Shape: dims}}, param.F32)
			if err != nil {
				t.Fatal(err)
			}
			m, err := NewMuon(set, table)
			if err != nil {
				t.Fatal(err)
			}
			p := set.Param(name)
			grad, _ := floats(t, f, shape+".grad")
			momentum, _ := floats(t, f, shape+".momentum_in")
			copy(p.Master, start)
			copy(p.Grad, grad)
			copy(m.hidden[0].momentum, momentum)
			if err := m.Step(1, 1, 0); err != nil {
				t.Fatal(err)
			}
			wantMomentum, _ := floats(t, f, shape+".momentum_out")
			if d := furthest(m.hidden[0].momentum, wantMomentum); d > 1e-6 {
				t.Errorf("%s %s: momentum is off by %g", table.Name, shape, d)
			}
			want, _ := floats(t, f, shape+".param_out")
			if d := furthest(p.Master, want); d > 0.02*2e-2*math.Sqrt(1.5) {
				t.Errorf("%s %s: the parameter is off by %g", table.Name, shape, d)
			}
			if d := furthest(p.Grad, make([]float32, len(grad))); d != 0 {
				t.Errorf("%s %s: a gradient is left", table.Name, shape)
			}
			m.Close()
			set.Close()
		}
	}
}

func furthest(x, y []float32) (d float64) {
	for i := range x {
		d = max(d, math.Abs(float64(x[i])-float64(y[i])))
	}
	return d
}

func TestScheduleShape(t *testing.T) {
	for _, kind := range Kinds {
		s := Schedule{Kind: kind, Steps: 100, Warmup: 10, Decay: 0.3, Floor: 0.1}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		for step := 1; step <= 10; step++ {
			if s.At(step) <= s.At(step-1) {
				t.Errorf("%s: the rate does not rise at step %d", kind, step)
			}
		}
		if s.At(10) < 0.99 {
			t.Errorf("%s: after the warm-up the rate is %g", kind, s.At(10))
		}
		if end := s.At(100); kind == "constant" && end != 1 || kind != "constant" && math.Abs(end-0.1) > 1e-9 {
			t.Errorf("%s: at the end the rate is %g", kind, end)
		}
	}
	for _, s := range []Schedule{{Kind: "up", Steps: 1}, {Kind: "wsd"}, {Kind: "wsd", Steps: 5, Warmup: 6}, {Kind: "wsd", Steps: 5, Decay: 2}} {
		if s.Check() == nil {
			t.Errorf("%+v: accepted", s)
		}
	}
}

// TestScheduleGolden compares with transformers' multipliers, which are 0 at step 0.
func TestScheduleGolden(t *testing.T) {
	text, err := os.ReadFile(goldenPath(t, "schedules.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Schedules []struct {
			Name       string
			Warmup     int       `json:"num_warmup_steps"`
			Steps      int       `json:"num_training_steps"`
			Decay      int       `json:"num_decay_steps"`
			Floor      float64   `json:"min_lr_rate"`
			Ratio      float64   `json:"min_lr_ratio"`
			Multiplier []float64 `json:"multiplier"`
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{"cosine": "cosine", "cosine_min_lr": "cosine", "linear": "linear", "wsd_linear": "wsd-linear", "wsd_cosine": "wsd-cosine", "wsd_1-sqrt": "wsd"}
	for _, g := range golden.Schedules {
		s := Schedule{Kind: kinds[g.Name], Steps: len(g.Multiplier) - 1, Warmup: g.Warmup, Floor: max(g.Floor, g.Ratio)}
		s.Decay = float64(g.Decay) / float64(s.Steps)
		if s.Kind == "" {
			t.Errorf("no schedule for %s", g.Name)
			continue
		}
		for step, want := range g.Multiplier {
			if got := s.At(step); math.Abs(got-want) > 1e-6 {
				t.Errorf("%s: at step %d %g, want %g", g.Name, step, got, want)
				break
			}
		}
	}
}
