package train

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSpikes: after a whole window a loss or norm far above it is a spike, below it never,
// and what came of a checkpoint judges alike.
func TestSpikes(t *testing.T) {
	s := &spikes{limit: 7}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range spikeWindow {
		if r := s.reason(1e6, 1); r != "" {
			t.Fatalf("step %d of a window that is not whole: %s", i, r)
		}
		s.made(3+0.1*random.NormFloat64(), 1+0.1*random.NormFloat64())
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	again := &spikes{limit: 7}
	if err := json.Unmarshal(text, again); err != nil {
		t.Fatal(err)
	}
	for _, judge := range []*spikes{s, again} {
		for _, c := range []struct {
			loss, norm float64
			want       string
		}{{3.2, 1.2, ""}, {0.1, 0.01, ""}, {4.5, 1, "loss"}, {3, 2.5, "norm"}, {math.NaN(), 1, "finite"}, {3, math.Inf(1), "finite"}} {
			if r := judge.reason(c.loss, c.norm); (r == "") != (c.want == "") || !strings.Contains(r, c.want) {
				t.Errorf("loss %g, norm %g: %q, want %q", c.loss, c.norm, r, c.want)
			}
		}
	}
	never := &spikes{Losses: s.Losses, Norms: s.Norms}
	if r := never.reason(1e9, 1e9); r != "" {
		t.Errorf("without a limit: %s", r)
	}
	for i := range skipLimit {
		if err := s.skipped("of a test"); err != nil {
			t.Fatalf("after %d: %v", i+1, err)
		}
	}
	if err := s.skipped("of a test"); err == nil || !strings.Contains(err.Error(), "--skip-spikes") {
		t.Errorf("after %d skipped steps: %v", s.InRow, err)
	}
}
