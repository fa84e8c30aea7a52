package bench

import (
	"context"
	"fmt"
	"io"
)

// Bounds of a search: it ends when the highest rate that holds and the lowest that does
// not are within closeEnough of one another, or after maxTrials runs.
const (
	closeEnough = 1.08
	maxTrials   = 24
)

// search finds the highest rate at which the objectives hold, and prints each run on the
// way. It starts at the rate that was asked for, or one request a second.
func (t *loadTest) search(ctx context.Context, stderr io.Writer, out *runWriter) error {
	rate := 1.0
	if len(t.rates) == 1 {
		rate = t.rates[0]
	}
	holds, fails := 0.0, 0.0
	for range maxTrials {
		r, err := t.run(ctx, stderr, t.ratePoint(rate))
		if err != nil {
			return err
		}
		if err := out.write(r); err != nil {
			return err
		}
		if *r.Met {
			holds = rate
		} else {
			fails = rate
		}
		if holds > 0 && fails > 0 && fails/holds < closeEnough {
			break
		}
		if rate = nextRate(holds, fails); rate > 1e6 || rate < 1e-3 {
			break
		}
	}
	if !out.json {
		_, err := fmt.Fprintf(out.out, "highest rate at which %s holds: %.4g requests/s\n", t.slo, holds)
		return err
	}
	return nil
}

// nextRate doubles or halves while one side is unknown, then takes the middle.
func nextRate(holds, fails float64) float64 {
	switch {
	case fails == 0:
		return 2 * holds
	case holds == 0:
		return fails / 2
	}
	return (holds + fails) / 2
}
