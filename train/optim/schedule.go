package optim

import (
	"fmt"
	"math"
	"strings"
)

// Schedule gives the learning rate of every step, as a share of the peak. It is plain
// data; At is a pure function.
type Schedule struct {
	Kind   string  // one of Kinds
	Steps  int     // of the whole run
	Warmup int     // steps of a linear rise from 0
	Decay  float64 // wsd: the share of the run, at its end, in which the rate falls
	Floor  float64 // what it falls to, as a share of the peak
}

// Kinds are the schedules: constant after the warm-up; linear and cosine fall from its
// end to the run's (cosine: Loshchilov & Hutter 2017); wsd stays and falls in the last
// part along 1 - sqrt(x) (Hägele et al. 2024), a line or half a cosine.
var Kinds = []string{"wsd", "wsd-linear", "wsd-cosine", "cosine", "linear", "constant"}

// Check refuses a schedule that makes no sense; the error names the figure.
func (s *Schedule) Check() error {
	switch {
	case s.Steps < 1:
		return fmt.Errorf("a run of %d steps", s.Steps)
	case s.Warmup < 0 || s.Warmup > s.Steps:
		return fmt.Errorf("a warm-up of %d of %d steps", s.Warmup, s.Steps)
	case !(s.Decay >= 0 && s.Decay <= 1) || !(s.Floor >= 0 && s.Floor <= 1):
		return fmt.Errorf("a decay over %g of the run to %g of the peak: both are shares from 0 to 1", s.Decay, s.Floor)
	}
	for _, kind := range Kinds {
		if s.Kind == kind {
			return nil
		}
	}
	return fmt.Errorf("unknown schedule %q: want one of %v", s.Kind, Kinds)
}

// At returns the share of the peak after step steps: where there is a warm-up 0 at 0 (the
// floor with wsd), and the floor from Steps on.
func (s *Schedule) At(step int) float64 {
	if step < s.Warmup {
		rise := float64(step) / float64(s.Warmup)
		if strings.HasPrefix(s.Kind, "wsd") {
			return s.fall(rise)
		}
		return rise
	}
	all, last := s.progress(step, s.Warmup), s.progress(step, s.Steps-int(math.Round(s.Decay*float64(s.Steps))))
	switch s.Kind {
	case "cosine":
		return s.fall((1 + math.Cos(math.Pi*all)) / 2)
	case "linear":
		return s.fall(1 - all)
	case "wsd":
		return s.fall(1 - math.Sqrt(last))
	case "wsd-linear":
		return s.fall(1 - last)
	case "wsd-cosine":
		return s.fall((1 + math.Cos(math.Pi*last)) / 2)
	}
	return 1
}

// progress returns how far step is between from and the end, from 0 to 1.
func (s *Schedule) progress(step, from int) float64 {
	return min(max(float64(step-from)/float64(max(s.Steps-from, 1)), 0), 1)
}

func (s *Schedule) fall(x float64) float64 { return s.Floor + (1-s.Floor)*x }
