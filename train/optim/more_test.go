package optim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/train/param"
)

// randomSet returns parameters of the shapes with random masters and gradients.
func randomSet(t *testing.T, p param.Precision, shapes map[string][]int) *param.Set {
	t.Helper()
	var infos []quant.Tensor
	for name, shape := range shapes {
		infos = append(infos, quant.Tensor{Name: name, Shape: shape})
	}
	slices.SortFunc(infos, func(a, b quant.Tensor) int { return len(a.Name) - len(b.Name) })
	set, err := param.New(&quant.Meta{}, infos, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	for _, p := range set.Params() {
		fillNormal(p.Master, 1)
		p.Round()
	}
	return set
}

func fillNormal(x []float32, seed uint64) {
	random := rand.New(rand.NewPCG(seed, uint64(len(x))))
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
}

// TestMuonExperts: a stack of experts' matrices moves as the matrices would each by itself.
func TestMuonExperts(t *testing.T) {
	const experts, rows, cols = 3, 32, 48
	table := kernels.Tables()[0]
	stack := randomSet(t, param.BF16, map[string][]int{"blk.0.ffn_up_exps.weight": {experts, rows, cols}})
	whole := stack.Params()[0]
	alone := map[string][]int{}
	for e := range experts {
		alone[fmt.Sprintf("blk.%d.ffn_up.weight", e)] = []int{rows, cols}
	}
	single := randomSet(t, param.BF16, alone)
	part := func(x []float32, e int) []float32 { return x[e*rows*cols:][:rows*cols] }
	expert := func(e int) *param.Param { return single.Param(fmt.Sprintf("blk.%d.ffn_up.weight", e)) }
	for e := range experts {
		copy(expert(e).Master, part(whole.Master, e))
	}
	a, err := NewMuon(stack, table)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := NewMuon(single, table)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for step := range 3 {
		fillNormal(whole.Grad, uint64(step))
		for e := range experts {
			copy(expert(e).Grad, part(whole.Grad, e))
		}
		if err := a.Step(1, 0.1, 1); err != nil {
			t.Fatal(err)
		}
		if err := b.Step(1, 0.1, 1); err != nil {
			t.Fatal(err)
		}
	}
	for e := range experts {
		if !slices.Equal(part(whole.Master, e), expert(e).Master) || !slices.Equal(whole.Rounded()[e*rows*cols:][:rows*cols], expert(e).Rounded()) {
			t.Errorf("expert %d moved otherwise than by itself", e)
		}
	}
}

// TestMuonMatchesAdamW: the steps' root mean square is about 0.2 times the rate whatever
// the shape, as AdamW's is (an orthogonal [r, c] has 1/sqrt(max(r, c))).
func TestMuonMatchesAdamW(t *testing.T) {
	for _, shape := range [][]int{{32, 96}, {96, 32}, {64, 64}} {
		set := randomSet(t, param.F32, map[string][]int{"blk.0.ffn_up.weight": shape})
		m, err := NewMuon(set, kernels.Tables()[0])
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		m.MatchAdamW, m.Rate, m.Decay = true, 0.1, 0
		p := set.Params()[0]
		before := slices.Clone(p.Master)
		fillNormal(p.Grad, 9)
		if err := m.Step(1, 1, 1); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i, w := range p.Master {
			sum += math.Pow(float64(w-before[i]), 2)
		}
		if rms := math.Sqrt(sum / float64(len(before))); math.Abs(rms/0.02-1) > 0.2 {
			t.Errorf("%v: the step's root mean square is %g, want about 0.02", shape, rms)
		}
	}
}

// TestSGD holds three steps to the formula in float64, clipping and decay included.
func TestSGD(t *testing.T) {
	set := randomSet(t, param.BF16, map[string][]int{"blk.0.ffn_up.weight": {5, 7}, "blk.0.ffn_norm.weight": {11}})
	o, err := NewSGD(set, kernels.Tables()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	o.Rate, o.Decay, o.Clip = 0.3, 0.1, 2
	type twin struct{ w, b []float64 }
	twins := map[string]*twin{}
	for _, p := range set.Params() {
		w := &twin{b: make([]float64, p.Elems())}
		for _, v := range p.Master {
			w.w = append(w.w, float64(v))
		}
		twins[p.Name] = w
	}
	for step := range 3 {
		for _, p := range set.Params() {
			fillNormal(p.Grad, uint64(step))
		}
		norm := o.Norm(0.5)
		for _, p := range set.Params() {
			w := twins[p.Name]
			for i, g := range p.Grad {
				g := 0.5 * min(1, 2/(norm+1e-6)) * float64(g)
				w.b[i] = 0.9*w.b[i] + g
				if p.Matrix() {
					w.w[i] *= 1 - 0.3*0.5*0.1
				}
				w.w[i] -= 0.3 * 0.5 * (g + 0.9*w.b[i])
			}
		}
		if err := o.Step(0.5, 0.5, norm); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range set.Params() {
		for i, v := range p.Master {
			if math.Abs(float64(v)-twins[p.Name].w[i]) > 1e-6 {
				t.Fatalf("%s: element %d is %g, want %g", p.Name, i, v, twins[p.Name].w[i])
			}
			if r := p.Rounded(); r != nil && r[i] != quant.F32ToBF16(v) || p.Grad[i] != 0 {
				t.Fatalf("%s: element %d has another copy, or a gradient left", p.Name, i)
			}
		}
	}
}

// TestAverage holds the average to its formula in float64.
func TestAverage(t *testing.T) {
	set := randomSet(t, param.F32, map[string][]int{"blk.0.ffn_up.weight": {5, 7}})
	p := set.Params()[0]
	a, err := NewAverage(set, 0.9)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	want := make([]float64, p.Elems())
	for i, v := range p.Master {
		want[i] = float64(v)
	}
	for step := 1; step < 200; step++ {
		fillNormal(p.Master, uint64(step))
		a.Follow(step)
		d := min(0.9, float64(1+step)/float64(10+step))
		for i, v := range p.Master {
			want[i] += (1 - d) * (float64(v) - want[i])
		}
	}
	for i, v := range a.Of(p) {
		if math.Abs(float64(v)-want[i]) > 1e-5 {
			t.Fatalf("element %d is %g, want %g", i, v, want[i])
		}
	}
}
