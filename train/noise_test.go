package train

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/train/board"
	"github.com/ingot-llm/ingot/train/loader"
)

// TestNoise: the noise of a sequence of T tokens is uniform between plus and minus
// alpha/sqrt(T D), the same for the same step and batch, whatever came before, and another
// for others.
func TestNoise(t *testing.T) {
	const width, alpha = 64, 5
	n := &noise{alpha: alpha, seed: 3, width: width, values: make([]float32, 1000*width)}
	sequences := []loader.Sequence{{Tokens: make([]int32, 7)}, {Tokens: make([]int32, 900)}}
	n.draw(4, 1, sequences)
	first := slices.Clone(n.values)
	for at, count := range map[int]int{0: 7 * width, 7 * width: 900 * width} {
		bound, sum, squares, most := alpha/math.Sqrt(float64(count)), 0.0, 0.0, 0.0
		for _, v := range first[at:][:count] {
			x := float64(v) / bound
			sum, squares, most = sum+x, squares+x*x, max(most, math.Abs(x))
		}
		mean, variance, sigma := sum/float64(count), squares/float64(count), 1/math.Sqrt(float64(count))
		// The standard deviations of the mean and the mean square of n draws from [-1, 1] are
		// sqrt(1/3n) and sqrt(4/45n).
		if most > 1+1e-6 || most < 1-20*sigma*sigma || math.Abs(mean) > 4*math.Sqrt(1.0/3)*sigma || math.Abs(variance-1.0/3) > 4*math.Sqrt(4.0/45)*sigma {
			t.Errorf("%d values: mean %.4f, mean square %.4f, largest %.6f of the bound", count, mean, variance, most)
		}
	}
	if rest := first[907*width:]; slices.Max(rest) != 0 || slices.Min(rest) != 0 {
		t.Error("there is noise behind the last sequence")
	}
	for _, other := range [][2]int{{4, 0}, {5, 1}, {1, 4}} {
		n.draw(other[0], other[1], sequences)
		if slices.Equal(n.values, first) {
			t.Errorf("the noise of step %d, batch %d, is that of step 4, batch 1", other[0], other[1])
		}
	}
	if n.draw(4, 1, sequences); !slices.Equal(n.values, first) {
		t.Error("the noise of a step comes out otherwise a second time")
	}
}

// neftuned is a run of sft with noise and its state at the last step.
func neftuned(t *testing.T, base, data, alpha, threads string) (out string, state [32]byte) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "run")
	command(t, neftuneArgs(base, data, out, alpha, threads)...)
	return out, stateSum(t, out, 14)
}

func neftuneArgs(base, data, out, alpha, threads string) []string {
	return []string{"sft", "--model", base, "--data", data, "--out", out, "--steps", "14", "--batch-tokens", "256", "--micro-tokens", "128", "--context", "64",
		"--valid-tokens", "256", "--eval-every", "0", "--save-every", "7", "--neftune", alpha, "--threads", threads}
}

// TestNEFTune: noise changes what is learned; one thread and two, and a run that goes on
// from a checkpoint, end with the same bits.
func TestNEFTune(t *testing.T) {
	base := quanttest.Shared(t, "data", "models", "golden", "arch", "llama-tied")
	data := chatShards(t, base)
	out, one := neftuned(t, base, data, "5", "1")
	if _, two := neftuned(t, base, data, "5", "2"); one != two {
		t.Error("two threads end with other bits than one")
	}
	if _, without := neftuned(t, base, data, "0", "2"); one == without {
		t.Error("the noise changes nothing")
	}
	if err := os.RemoveAll(filepath.Join(out, "checkpoints", fmt.Sprintf("step-%08d", 14))); err != nil {
		t.Fatal(err)
	}
	command(t, neftuneArgs(base, data, out, "5", "2")...)
	if one != stateSum(t, out, 14) {
		t.Error("the run that goes on ends with other bits")
	}
	if _, err := try(neftuneArgs(base, data, out, "6", "2")...); err == nil {
		t.Error("a run with other noise goes on")
	}
}

// TestNoNoise: a validation has no noise. At a rate that changes no weight its loss is
// that of a run without, while the training's is another.
func TestNoNoise(t *testing.T) {
	base := quanttest.Shared(t, "data", "models", "golden", "arch", "llama-tied")
	data := chatShards(t, base)
	losses := func(alpha string) (training, valid float64) {
		out := filepath.Join(t.TempDir(), "run")
		command(t, append(neftuneArgs(base, data, out, alpha, "2"), "--steps", "1", "--lr", "1e-30", "--precision", "f32")...)
		log := board.Follower{Dir: out}
		if err := log.Read(); err != nil {
			t.Fatal(err)
		}
		return log.Run.Curve("loss").Last(), log.Run.Curve("valid_loss").Last()
	}
	training, valid := losses("0")
	noisy, validNoisy := losses("50")
	if valid == 0 || valid != validNoisy || training == noisy {
		t.Errorf("the loss is %v with noise and %v without, of the validation %v and %v", noisy, training, validNoisy, valid)
	}
}
