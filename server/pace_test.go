package server

import (
	"testing"
	"time"

	"github.com/ingot-llm/ingot/engine"
)

// TestPace ends requests at known times.
func TestPace(t *testing.T) {
	now := time.Unix(1700000000, 0)
	after := func(d time.Duration) { now = now.Add(d) }
	p := pace{now: func() time.Time { return now }}
	if got := p.wait(50); got != 1 {
		t.Errorf("with nothing measured: %d s", got)
	}
	p.begin()
	after(time.Second)
	p.begin()
	after(3 * time.Second)
	p.end(1, 1) // 4 s after the work began
	for waiting, want := range map[int]int{0: 1, 1: 4, 2: 8, 15: 60, 1000: 60} {
		if got := p.wait(waiting); got != want {
			t.Errorf("%d waiting at 4 s each: %d s, want %d", waiting, got, want)
		}
	}
	after(12 * time.Second)
	p.end(1, 1) // (7·4 + 12)/8 = 5 s
	if got := p.wait(3); got != 15 {
		t.Errorf("3 waiting at 5 s each: %d s", got)
	}
	after(time.Hour)
	p.begin() // idle time does not count
	after(5 * time.Second)
	p.end(1, 1)
	if got := p.wait(3); got != 15 {
		t.Errorf("after an idle hour: %d s", got)
	}
	after(0)
	p.begin()
	after(time.Millisecond)
	p.end(1, 0) // what never ran says nothing
	if got := p.wait(3); got != 15 {
		t.Errorf("after a request that left the queue: %d s", got)
	}
	p.begin()
	p.begin()
	after(10 * time.Second)
	p.end(2, 2) // 5 s each
	if got := p.wait(3); got != 15 {
		t.Errorf("after two at once: %d s", got)
	}
	for range 100 {
		p.begin()
		after(100 * time.Millisecond)
		p.end(1, 1)
	}
	if got := p.wait(12); got != 2 {
		t.Errorf("12 waiting at 0.1 s each: %d s, want 2, rounded up", got)
	}
}

// TestRetryAfter fills the queue after a request that took 7 s: two wait.
func TestRetryAfter(t *testing.T) {
	fake := newFake()
	fake.gate = make(chan struct{}, 16)
	h := start(t, fake, nil)
	clock := make(chan time.Time, 2)
	clock <- time.Unix(1700000000, 0)
	clock <- time.Unix(1700000007, 0)
	h.server.pace.now = func() time.Time { return <-clock }
	for range 16 {
		fake.gate <- struct{}{}
	}
	if a := h.post("/v1/completions", `{"prompt":"a"}`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	fake.refuse = engine.ErrQueueFull
	for _, body := range []string{`{"prompt":"a"}`, `{"prompt":"a","stream":true}`} {
		if a := h.post("/v1/completions", body); a.status != 429 || a.header["Retry-After"] != "14" {
			t.Errorf("%d, Retry-After %q", a.status, a.header["Retry-After"])
		}
	}
}
