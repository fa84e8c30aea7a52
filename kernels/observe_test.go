package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// observation is a program of a product, and of experts that read tokens and then slots.
type observation struct {
	probe
	w, up, down Tensor
}

const observedExperts, observedK = 5, 2

var observed = map[string]Observation{"w": Squares, "up": Squares, "down": Products, "pairs": Products, "same pairs": Products}

func newObservation(t *testing.T, random *rand.Rand) *observation {
	o := &observation{
		probe: probe{name: t.Name(), seqs: []int{7, 1, 12}, input: randomF32(random, 20, 70+observedExperts)},
		w:     randomF32(random, 9, 70), up: randomF32(random, observedExperts, 67, 70), down: randomF32(random, observedExperts, 3, 67),
	}
	o.w.Name, o.up.Name, o.down.Name = "w", "up", "down"
	return o
}

// run runs the program over some batches on a table, and returns what it sums up.
func (o *observation) run(t *testing.T, table *Table) map[string][]float32 {
	t.Helper()
	b := NewBuilder(ActBF16, KVF32)
	b.Observe(func(w Tensor) Observation { return observed[w.Name] })
	all := b.Embed(o.input, 1)
	x := b.View(all, 0, 70)
	b.Linear(x, o.w, Tensor{})
	for _, name := range []string{"unseen", "pairs", "same pairs"} {
		other := o.w
		other.Name = name
		b.Linear(x, other, Tensor{})
	}
	ids, weights := b.Route(b.View(all, 70, observedExperts), observedK, true, 1)
	b.Output(b.Combine(b.ExpertLinear(b.ExpertLinear(x, ids, o.up, Tensor{}), ids, o.down, Tensor{}), weights))
	p := b.Program()
	sums := map[string][]float32{}
	steps := chunks(o.seqs, 6)
	r, err := NewRunner(p, table, o.limits())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	defer r.Close()
	for i := range steps {
		if err := r.Run(&steps[i]); err != nil {
			t.Fatal(err)
		}
	}
	for name, s := range p.Observed() {
		sums[name] = slices.Clone(s)
	}
	return sums
}

// squares are the sums in float64, of a token's best experts by hand.
func (o *observation) squares() map[string][]float64 {
	sums := map[string][]float64{"w": make([]float64, 70), "up": make([]float64, observedExperts*70), "down": make([]float64, observedExperts*67), "pairs": make([]float64, 70*70)}
	in, up := floats(o.input), floats(o.up)
	for t := range 20 {
		row := in[t*(70+observedExperts):][:70+observedExperts]
		x, scores := row[:70], row[70:]
		addSquares64(sums["w"], x)
		for i, v := range x {
			for j, u := range x {
				sums["pairs"][i*70+j] += float64(v) * float64(u)
			}
		}
		best := []int{0, 1, 2, 3, 4}
		slices.SortFunc(best, func(a, b int) int { return int(math.Copysign(1, float64(scores[b]-scores[a]))) })
		for _, e := range best[:observedK] {
			addSquares64(sums["up"][e*70:], x)
			h := make([]float32, 67)
			for i := range h {
				for j, v := range x {
					h[i] += v * up[(e*67+i)*70+j]
				}
			}
			addSquares64(sums["down"][e*67:], h)
		}
	}
	sums["same pairs"] = sums["pairs"]
	return sums
}

func addSquares64(sum []float64, x []float32) {
	for i, v := range x {
		sum[i] += float64(v) * float64(v)
	}
}

// TestObserve: the sums of squares, and of products of pairs, of what weights and each
// expert's own rows multiply are those of float64, on every table, over several batches; squares of
// the same rows are the same bits in every table.
func TestObserve(t *testing.T) {
	o := newObservation(t, rand.New(rand.NewPCG(31, 32)))
	want := o.squares()
	lib := Open(2, Options{})
	defer lib.Close()
	var first map[string][]float32
	for _, table := range lib.Tables() {
		got := o.run(t, table)
		if first == nil {
			first = got
		}
		if !slices.Equal(got["w"], first["w"]) || !slices.Equal(got["up"], first["up"]) {
			t.Errorf("%s: other bits than %s's", table.Name, lib.Tables()[0].Name)
		}
		if len(got) != len(want) {
			t.Errorf("%s: sums of %d weights, want %d", table.Name, len(got), len(want))
		}
		for name := range want {
			near(t, table.Name+": "+name, got[name], want[name], 1e-5)
		}
	}
}
