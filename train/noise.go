package train

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/train/loader"
)

// noise is NEFTune's: to the embeddings of each sequence of T tokens, of width D, values
// are added that are uniform in [-1, 1] times alpha/sqrt(T D) (Jain et al. 2023). They are
// a function of the seed, the step and the place of the batch in it. One goroutine; Close
// frees the memory.
type noise struct {
	alpha  float64
	seed   uint64
	width  int
	values []float32 // [tokens, width], kernels.Training's Noise
	buf    *kernels.Buf
}

// newNoise returns noise for batches of up to tokens tokens of a model.
func newNoise(model quant.Source, tokens int, alpha float64, seed uint64) (*noise, error) {
	table, err := model.Tensor("token_embd.weight")
	if err != nil {
		return nil, fmt.Errorf("noise for embeddings: %w", err)
	}
	n := tokens * table.Cols()
	buf, err := kernels.NewBuf(4 * n)
	if err != nil {
		return nil, fmt.Errorf("noise for %d tokens: %w", tokens, err)
	}
	return &noise{alpha, seed, table.Cols(), buf.Floats(), buf}, nil
}

// Close frees the memory.
func (n *noise) Close() { n.buf.Free() }

// draw makes the noise of a batch of a step.
func (n *noise) draw(step, batch int, sequences []loader.Sequence) {
	random, values := rand.NewPCG(n.seed, uint64(step)<<32|uint64(batch)), n.values
	for _, s := range sequences {
		count := len(s.Tokens) * n.width
		uniform(values[:count], n.alpha/math.Sqrt(float64(count)), random)
		values = values[count:]
	}
}

// uniform fills out with values from -bound to bound, two of 32 bits of each draw.
func uniform(out []float32, bound float64, random *rand.PCG) {
	scale := float32(bound * 0x1p-31)
	for i := 0; i < len(out); i += 2 {
		u := random.Uint64()
		out[i] = float32(int32(u)) * scale
		if i+1 < len(out) {
			out[i+1] = float32(int32(u>>32)) * scale
		}
	}
}
