package quant

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestQuantizeActsFollowsItsDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n = 40 * ActBlock
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * math.Exp(rng.NormFloat64()*4))
	}
	copy(x[ActBlock:], []float32{127, 0.5, 1.5, 2.5, -0.5, -1.5, -127}) // ties, with scale 1
	for i := ActBlock + 7; i < 2*ActBlock; i++ {
		x[i] = 0
	}
	q, scale, sum := make([]int8, n), make([]float32, n/ActBlock), make([]int32, n/ActBlock)
	QuantizeActs(x, q, scale, sum)
	for b := range scale {
		var absmax float32
		var want int32
		for i := range ActBlock {
			absmax = max(absmax, float32(math.Abs(float64(x[b*ActBlock+i]))))
		}
		for i := b * ActBlock; i < (b+1)*ActBlock; i++ {
			v := int8(math.RoundToEven(float64(x[i] * (127 / absmax))))
			if want += int32(v); q[i] != v {
				t.Fatalf("q[%d] = %d, want %d", i, q[i], v)
			}
		}
		if sum[b] != want || scale[b] != absmax/127 {
			t.Fatalf("block %d: sum %d scale %g, want %d %g", b, sum[b], scale[b], want, absmax/127)
		}
	}
	if got, want := [7]int8(q[ActBlock:]), [7]int8{127, 0, 2, 2, 0, -2, -127}; got != want {
		t.Fatalf("ties round to %d, want %d", got, want)
	}
}

func TestQuantizeActsOfDegenerateBlocks(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct{ value, scale float32 }{
		{0, 0}, {1e-40, 0}, {inf, inf}, {-inf, inf}, {float32(math.NaN()), float32(math.NaN())},
	} {
		x, q := make([]float32, ActBlock), make([]int8, ActBlock)
		x[5], x[6], q[5], q[6] = c.value, 1e-41, 9, 9
		scale, sum := []float32{7}, []int32{7}
		QuantizeActs(x, q, scale, sum)
		same := scale[0] == c.scale || c.scale != c.scale && scale[0] != scale[0]
		if !same || sum[0] != 0 || [ActBlock]int8(q) != [ActBlock]int8{} {
			t.Errorf("a block with %g: scale %g sum %d q %d", c.value, scale[0], sum[0], q)
		}
	}
}
