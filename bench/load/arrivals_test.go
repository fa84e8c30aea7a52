package load

import (
	"math"
	"slices"
	"testing"
	"time"
)

// take returns the arrivals before end.
func take(a Arrivals, end time.Duration) (out []time.Duration) {
	for at := range a {
		if at >= end {
			return out
		}
		out = append(out, at)
	}
	return out
}

// near checks a count that is Poisson distributed to within five deviations.
func near(t *testing.T, what string, got int, want float64) {
	t.Helper()
	if math.Abs(float64(got)-want) > 5*math.Sqrt(want)+1 {
		t.Errorf("%s: %d arrivals, want about %.0f", what, got, want)
	}
}

func TestArrivalsRates(t *testing.T) {
	within := func(all []time.Duration, from, to time.Duration) int {
		n := 0
		for _, at := range all {
			if at >= from && at < to {
				n++
			}
		}
		return n
	}
	steps := take(Steps([]Step{{Rate: 10, For: 100 * time.Second}, {Rate: 100, For: 50 * time.Second}, {Rate: 1}}, 7), 250*time.Second)
	near(t, "first step", within(steps, 0, 100*time.Second), 1000)
	near(t, "second step", within(steps, 100*time.Second, 150*time.Second), 5000)
	near(t, "last step", within(steps, 150*time.Second, 250*time.Second), 100)
	ramp := take(Ramp(0, 100, 100*time.Second, 7), 200*time.Second)
	near(t, "first half of the ramp", within(ramp, 0, 50*time.Second), 1250)
	near(t, "second half of the ramp", within(ramp, 50*time.Second, 100*time.Second), 3750)
	near(t, "after the ramp", within(ramp, 100*time.Second, 200*time.Second), 10000)
	near(t, "a ramp down", len(take(Ramp(40, 10, 100*time.Second, 7), 100*time.Second)), 2500)
	near(t, "a level ramp", len(take(Ramp(20, 20, 100*time.Second, 7), 100*time.Second)), 2000)
	for name, all := range map[string][]time.Duration{"steps": steps, "ramp": ramp} {
		if !slices.IsSorted(all) {
			t.Errorf("%s: times are not in order", name)
		}
	}
}

func TestBursts(t *testing.T) {
	all := take(Bursts(40, 8, 3), 1000*time.Second)
	if len(all)%8 != 0 {
		t.Fatalf("%d arrivals are not whole bursts", len(all))
	}
	near(t, "bursts", len(all)/8, 5000)
	for burst := range slices.Chunk(all, 8) {
		if burst[0] != burst[7] {
			t.Fatalf("a burst from %s to %s", burst[0], burst[7])
		}
	}
}

func TestReplay(t *testing.T) {
	trace := []Traced{{Millis: 0}, {Millis: 500}, {Millis: 500}, {Millis: 3000}}
	want := []time.Duration{0, 250 * time.Millisecond, 250 * time.Millisecond, 1500 * time.Millisecond}
	if got := take(Replay(trace, 2), time.Hour); !slices.Equal(got, want) {
		t.Errorf("twice as fast: %v", got)
	}
}
