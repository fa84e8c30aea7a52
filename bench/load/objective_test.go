package load

import (
	"net/http"
	"testing"
	"time"
)

func TestParseObjectives(t *testing.T) {
	got, err := ParseObjectives("ttft_p99=500ms, itl_p999=100ms,e2e=2s")
	if err != nil || len(got) != 3 || got[0].String() != "ttft_p99=500ms" || got[1].String() != "itl_p999=100ms" || got[2].String() != "e2e_p99=2s" {
		t.Errorf("%v (%v)", got, err)
	}
	for _, bad := range []string{"", "ttft", "ttft=5", "ttft_p98=5ms", "ttft_=5ms", "speed=5ms", "ttft=-5ms", "ttft=5ms,"} {
		if o, err := ParseObjectives(bad); err == nil {
			t.Errorf("%q is read as %v", bad, o)
		}
	}
}

func TestObjectiveMet(t *testing.T) {
	r := Result{TimeToFirst: Latency{Count: 1, P50: 10, P90: 20, P95: 30, P99: 40, P999: 50}}
	for percentile, bound := range map[float64]time.Duration{50: 10, 90: 20, 95: 30, 99: 40, 99.9: 50} {
		if !(Objective{"ttft", percentile, bound}).Met(&r) || (Objective{"ttft", percentile, bound - 1}).Met(&r) {
			t.Errorf("the %vth percentile is not %d", percentile, bound)
		}
	}
	if (Objective{"itl", 99, time.Hour}).Met(&r) {
		t.Error("an objective holds of which nothing is known")
	}
}

// TestGoodput: requests are good that hold the objectives.
func TestGoodput(t *testing.T) {
	cfg := fake(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 3) })
	cfg.Objectives = []Objective{{"ttft", 99, time.Minute}, {"itl", 99, time.Minute}, {"e2e", 99, time.Minute}}
	if r := run(t, cfg); r.Good != 20 || r.Goodput() <= 0 || r.Goodput() != r.RequestsPerSecond() {
		t.Errorf("%d of 20 are good, %v of %v a second", r.Good, r.Goodput(), r.RequestsPerSecond())
	}
	cfg.Objectives[2].Bound = 1
	if r := run(t, cfg); r.Good != 0 || r.Completed != 20 {
		t.Errorf("%d hold a nanosecond", r.Good)
	}
}

// TestWarmUp: requests before its end are sent and not counted.
func TestWarmUp(t *testing.T) {
	cfg := fake(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 3) })
	cfg.WarmUp = 50 * time.Millisecond
	cfg.Arrivals = func(yield func(time.Duration) bool) {
		for i := range 20 {
			if !yield(time.Duration(i/15) * cfg.WarmUp) { // fifteen at once, five after the warm-up
				return
			}
		}
	}
	r := run(t, cfg)
	if r.Requests != 5 || r.TimeToFirst.Count != 5 || r.InterToken.Count != 10 {
		t.Errorf("%d requests count, %d first and %d later tokens, want 5, 5 and 10", r.Requests, r.TimeToFirst.Count, r.InterToken.Count)
	}
}

// TestConversation: turns follow one another, each with the answer before it.
func TestConversation(t *testing.T) {
	cfg := fake(t, func(w http.ResponseWriter, _ *http.Request) { say(w, 2) })
	cfg.Next = Mix{Chat: true, Prompt: Fixed(3), Output: Fixed(2), Turns: 4}.Request
	cfg.Requests = 5
	r := run(t, cfg)
	if r.Completed != 20 {
		t.Errorf("5 conversations of 4 turns: %d requests", r.Completed)
	}
	var tokens int64
	for _, s := range r.Timeline {
		tokens += s.Tokens
	}
	if tokens != r.OutputTokens || r.OutputTokens != 80 {
		t.Errorf("the timeline has %d of %d tokens", tokens, r.OutputTokens)
	}
}
