package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/train/loader"
	"github.com/ingot-llm/ingot/train/param"
)

// families are golden models of all that Ingot trains.
var families = []string{"llama-tied", "llama-untied", "llama3-rope", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "mistral",
	"mixtral", "qwen3_moe", "gpt2", "gpt_neox", "olmo2", "smollm3", "granite", "gpt_oss"}

func openSet(t *testing.T, name string, p param.Precision) *param.Set {
	t.Helper()
	src, err := checkpoint.Open(quanttest.Shared(t, "data", "models", "golden", "arch", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	set, err := param.Load(src, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set
}

// trainee is a set with the program that trains it on one batch.
type trainee struct {
	set      *param.Set
	runner   *kernels.Runner
	batch    kernels.Batch
	upstream []float32 // Training.Upstream
}

func newTrainee(t *testing.T, n network, documents []loader.Sequence, table *kernels.Table, o kernels.Training) *trainee {
	t.Helper()
	var b batch
	b.reset()
	for _, d := range documents {
		b.add(d)
	}
	o.LogitRows = len(b.LogitRows)
	o.Gradient = func(w kernels.Tensor) []float32 { return n.set.Gradient(w.Name) }
	m, err := model.Load(n.source, model.Options{KV: n.kv(), Adapters: n.lowRank(), Train: &o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Program.Close)
	r, err := kernels.NewRunner(m.Program, table, kernels.Limits{
		Tokens: len(b.Tokens), LogitRows: len(b.LogitRows), Seqs: len(b.SeqLen), Blocks: b.blocks,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return &trainee{n.set, r, b.Batch, o.Upstream}
}

// loss runs the program, which adds to the gradients, and returns the summed loss: with
// upstream the sum of the outputs weighed by it.
func (e *trainee) loss(t *testing.T) (sum float64) {
	t.Helper()
	if err := e.runner.Run(&e.batch); err != nil {
		t.Fatal(err)
	}
	losses, _, _ := e.runner.Output()
	for i, l := range losses {
		if e.upstream != nil {
			l *= e.upstream[i]
		}
		sum += float64(l)
	}
	return sum
}

// TestFamilyGradients compares the gradient of every parameter of every family with
// central differences of the loss: along the gradient, and along a random direction.
func TestFamilyGradients(t *testing.T) {
	table := kernels.Tables()[0]
	for _, name := range families {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(3, 4))
			set := openSet(t, name, param.F32)
			lengths := []int{12, 21}
			if set.Param("blk.0.ffn_gate_inp.weight") != nil {
				lengths = []int{2, 4} // where a token changes its expert the loss jumps: few tokens, few jumps
			}
			newTrainee(t, wholly(set), randomDocuments(random, 384, lengths...), table, kernels.Training{}).checkAll(t, random)
		})
	}
}

func randomDocuments(random *rand.Rand, vocab int, lengths ...int) (documents []loader.Sequence) {
	for _, n := range lengths {
		d := loader.Sequence{Tokens: make([]int32, n), Targets: make([]int32, n)}
		for i := range d.Tokens {
			d.Tokens[i], d.Targets[i] = int32(random.IntN(vocab)), int32(random.IntN(vocab+1)-1)
		}
		documents = append(documents, d)
	}
	return documents
}

// checkAll checks every parameter's gradient along itself and along a random direction.
func (e *trainee) checkAll(t *testing.T, random *rand.Rand) {
	t.Helper()
	for _, p := range e.set.Params() {
		e.set.ZeroGrad() // the runs for the last one's differences added to it
		e.loss(t)
		grad := slices.Clone(p.Grad)
		across := make([]float32, len(grad))
		for i := range across {
			across[i] = float32(random.NormFloat64())
		}
		e.check(t, p, grad, slices.Clone(grad))
		e.check(t, p, grad, across)
	}
}

// check compares the change of the loss along a direction with the gradient's.
func (e *trainee) check(t *testing.T, p *param.Param, grad, direction []float32) {
	t.Helper()
	length, size := norm(direction), norm(grad)
	if size < 1e-3 { // such as a bias of keys, which a softmax does not see
		return
	}
	var want float64
	for i, d := range direction {
		want += float64(d) / length * float64(grad[i])
	}
	h := 0.002 / max(1, size/30)
	one, two := e.slope(t, p, direction, h/length), e.slope(t, p, direction, 2*h/length)
	if got := (4*one - two) / 3 / length; math.Abs(got-want) > 1e-2*size+0.02 {
		t.Errorf("along a direction of %s the loss changes by %.5g, its gradient (of norm %.3g) says %.5g", p.Name, got, size, want)
	}
}

func (e *trainee) slope(t *testing.T, p *param.Param, direction []float32, h float64) float64 {
	t.Helper()
	kept := slices.Clone(p.Master)
	at := func(h float64) float64 {
		for i, d := range direction {
			p.Master[i] = kept[i] + float32(h*float64(d))
		}
		loss := e.loss(t)
		copy(p.Master, kept)
		return loss
	}
	return (at(h) - at(-h)) / (2 * h)
}

func norm(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}
