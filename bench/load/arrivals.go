package load

import (
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// Arrivals are the times, from the start and ascending, at which an open loop's requests
// are meant to be sent. Those of this file never end; the same seed gives the same.
type Arrivals = iter.Seq[time.Duration]

// Poisson returns arrivals with exponential gaps, rate a second on average.
func Poisson(rate float64, seed uint64) Arrivals {
	return Steps([]Step{{Rate: rate}}, seed)
}

// Bursts returns groups of size requests at once; the groups' gaps are exponential, such
// that rate requests arrive a second on average.
func Bursts(rate float64, size int, seed uint64) Arrivals {
	return func(yield func(time.Duration) bool) {
		for at := range Poisson(rate/float64(size), seed) {
			for range size {
				if !yield(at) {
					return
				}
			}
		}
	}
}

// Step is a rate of arrivals, in requests a second, and how long it holds.
type Step struct {
	Rate float64
	For  time.Duration
}

// Steps returns Poisson arrivals whose rate changes at once; the last step's stays.
func Steps(steps []Step, seed uint64) Arrivals {
	return func(yield func(time.Duration) bool) {
		random := arrivalsRandom(seed)
		var begin, at float64 // seconds
		for i, s := range steps {
			end := begin + s.For.Seconds()
			if i == len(steps)-1 {
				end = math.Inf(1)
			}
			// Exponential gaps know no past: each step may draw anew from its begin.
			for at = begin + random.ExpFloat64()/s.Rate; at < end; at += random.ExpFloat64() / s.Rate {
				if !yield(seconds(at)) {
					return
				}
			}
			begin = end
		}
	}
}

// Ramp returns Poisson arrivals whose rate goes evenly from from to to over the time
// over, and stays there.
func Ramp(from, to float64, over time.Duration, seed uint64) Arrivals {
	return func(yield func(time.Duration) bool) {
		random := arrivalsRandom(seed)
		for due := random.ExpFloat64(); yield(seconds(rampTime(from, to, over.Seconds(), due))); due += random.ExpFloat64() {
		}
	}
}

// rampTime returns when due requests are expected: the t with from*t + (to-from)*t^2/2over
// = due, and with the rate to after over.
func rampTime(from, to, over, due float64) float64 {
	if whole := (from + to) / 2 * over; due >= whole {
		return over + (due-whole)/to
	}
	slope := (to - from) / over
	if slope == 0 {
		return due / from
	}
	return 2 * due / (from + math.Sqrt(from*from+2*slope*due)) // the root without cancellation
}

// seconds is t as a Duration; beyond a year it does not matter.
func seconds(t float64) time.Duration {
	return time.Duration(min(t, 3e7) * float64(time.Second))
}

func arrivalsRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
