package train

import (
	"fmt"
	"math"
)

// spikeWindow is how many steps a step is compared with.
const spikeWindow = 128

// skipLimit is how many steps in a row may be skipped before the run is given up.
const skipLimit = 25

// spikes tells steps apart that would do harm: whose loss or gradient is not finite, or
// further above the mean of the last spikeWindow steps than limit standard deviations
// (llm.c: 7). Its exported fields are part of a checkpoint. limit 0 asks for finite ones
// only.
type spikes struct {
	limit  float64
	Losses []float64 `json:"losses"` // of steps that were made, the oldest first
	Norms  []float64 `json:"norms"`
	InRow  int       `json:"in_row"` // steps skipped since
}

// reason returns why a step is to be skipped, "" if it is not.
func (s *spikes) reason(loss, norm float64) string {
	switch {
	case !finite(loss) || !finite(norm):
		return "its loss or gradient is not finite"
	case s.limit > 0 && beyond(loss, s.Losses) > s.limit:
		return fmt.Sprintf("its loss, %.4g, is %.1f standard deviations above the mean of %d steps", loss, beyond(loss, s.Losses), spikeWindow)
	case s.limit > 0 && beyond(norm, s.Norms) > s.limit:
		return fmt.Sprintf("its gradient's norm, %.4g, is %.1f standard deviations above the mean of %d steps", norm, beyond(norm, s.Norms), spikeWindow)
	}
	return ""
}

// beyond returns how many standard deviations x lies above the mean of a whole window;
// 0 while it is not whole.
func beyond(x float64, window []float64) float64 {
	if len(window) < spikeWindow {
		return 0
	}
	var sum, squares float64
	for _, v := range window {
		sum, squares = sum+v, squares+v*v
	}
	n := float64(len(window))
	return (x - sum/n) / (math.Sqrt(max(squares/n-sum/n*sum/n, 0)) + 1e-12)
}

// made notes a step that was made.
func (s *spikes) made(loss, norm float64) {
	s.Losses, s.Norms, s.InRow = slide(s.Losses, loss), slide(s.Norms, norm), 0
}

func slide(window []float64, x float64) []float64 {
	if len(window) == spikeWindow {
		copy(window, window[1:])
		window = window[:spikeWindow-1]
	}
	return append(window, x)
}

// skipped notes a step that was not made; too many in a row are an error.
func (s *spikes) skipped(reason string) error {
	if s.InRow++; s.InRow > skipLimit {
		return fmt.Errorf("%d steps in a row were skipped, the last one because %s: go on from an earlier checkpoint with a lower --lr, or allow more with --skip-spikes", s.InRow, reason)
	}
	return nil
}
