package param

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
)

// initDeviation is the standard deviation of fresh matrices (GPT-2: Radford et al. 2019).
const initDeviation = 0.02

// Init gives every parameter the values that training starts from: norms 1 (Gemma's too,
// since GGUF stores its 1+w), biases 0, all else normal with deviation 0.02, the
// projections into the residual stream with 0.02/sqrt(2 x layers) so that its variance
// does not grow with depth (Radford et al. 2019, 2.3). A parameter's values depend on
// the seed and its name alone.
func (s *Set) Init(seed uint64) {
	layers := s.meta.Int(s.meta.String("general.architecture", "")+".block_count", 1)
	for _, p := range s.params {
		p.init(seed, layers)
	}
}

func (p *Param) init(seed uint64, layers int) {
	switch {
	case strings.HasSuffix(p.Name, "norm.weight"):
		fill(p.Master, 1)
	case strings.HasSuffix(p.Name, ".bias"):
		clear(p.Master)
	case strings.Contains(p.Name, ".attn_output.") || strings.Contains(p.Name, ".ffn_down"):
		p.normal(seed, initDeviation/math.Sqrt(2*float64(layers)))
	default:
		p.normal(seed, initDeviation)
	}
	p.Round()
}

func (p *Param) normal(seed uint64, deviation float64) {
	random := rand.New(rand.NewPCG(seed, number(p.Name)))
	for i := range p.Master {
		p.Master[i] = float32(deviation * random.NormFloat64())
	}
}

// number turns a name into the second half of a seed.
func number(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

func fill(to []float32, v float32) {
	for i := range to {
		to[i] = v
	}
}
