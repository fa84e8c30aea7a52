package kernels

import (
	"math/rand/v2"
	"testing"
)

func TestReferenceRunsEveryProbe(t *testing.T) {
	for _, p := range selfProbes() {
		if err := p.compare(Reference, Reference); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	}
	p := attentionProbe(rand.New(rand.NewPCG(3, 4)), KVBF16, []int{20, 3})
	t.Logf("\n%v", p.program())
}
