// Package load drives an OpenAI-compatible server with streaming requests and measures
// what its clients see.
//
// Closed loop: Config.Clients clients, each of which asks again when its answer has
// ended; it finds the throughput at a concurrency. Open loop: requests arrive at the
// times of Config.Arrivals whether or not earlier ones have ended; it finds the latency
// at a load. Every latency counts from the time at which a request was meant to be sent,
// so that a server that falls behind cannot hide it (coordinated omission).
//
// Mix makes the requests: lengths by distribution or from a trace, shared beginnings,
// conversations. Scrape reads the server's own metrics beside.
package load

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what to send and how.
type Config struct {
	// URL is the server's, without a path: "http://127.0.0.1:8080".
	URL string
	// Key is sent as bearer token; "" sends none.
	Key string
	// Clients is how many requests are under way at most. In the open loop what
	// arrives beyond waits, and its latency counts the wait.
	Clients int
	// Arrivals is when requests are to be sent; nil is the closed loop.
	Arrivals Arrivals
	// WarmUp is how long requests are sent that do not count; Duration is how long, after
	// that, requests are begun that do. Those under way at its end are finished.
	WarmUp, Duration time.Duration
	// Requests bounds the number of calls of Next; 0: Duration alone does.
	Requests int
	// Timeout bounds one request, from its connection to its last byte.
	Timeout time.Duration
	// Cancel is the share, 0 to 1, of requests that their client leaves within the
	// first half of the answer.
	Cancel float64
	// Seed decides who leaves.
	Seed uint64
	// Objectives decide which requests are good.
	Objectives []Objective
	// Watch, which may be nil, is told once a second how it goes.
	Watch func(Status)
	// Next returns the n-th request, n = 0, 1, ... It is called by many goroutines;
	// Mix.Request is one.
	Next func(n int) Request
}

// Request is one streaming request.
type Request struct {
	Path string // "/v1/completions" or "/v1/chat/completions"
	Body []byte // JSON with "stream": true
	// MaxTokens is what the body asks for at most; cancellation needs it.
	MaxTokens int
	// Then, if not nil, makes the next request of the conversation from this one's
	// answer. It is sent Think after the answer's end.
	Then  func(answer string) Request
	Think time.Duration
}

// Status is how a test goes.
type Status struct {
	Elapsed                     time.Duration // since the warm-up; below 0 within it
	InFlight, Completed, Failed int
	Second                      Second // the last whole one
}

func (c *Config) validate() error {
	switch {
	case c.URL == "":
		return errors.New("load: no URL")
	case c.Next == nil:
		return errors.New("load: no requests: Next is nil")
	case c.Clients < 1:
		return fmt.Errorf("load: %d clients, want at least 1", c.Clients)
	case c.Duration <= 0 || c.Timeout <= 0:
		return errors.New("load: duration and timeout must be more than 0")
	case c.WarmUp < 0:
		return fmt.Errorf("load: a warm-up of %s", c.WarmUp)
	case !(c.Cancel >= 0 && c.Cancel <= 1):
		return fmt.Errorf("load: the cancelled share %v must be from 0 to 1", c.Cancel)
	}
	return nil
}

// arrival is a request's number and the time at which it was meant to be sent.
type arrival struct {
	n  int
	at time.Time
}

// Run sends requests until the duration is over or ctx ends, waits for those under way,
// and returns what they saw. What is under way when ctx ends is cut and not counted, and
// the error is ctx's. A request's failure is counted, not returned.
func Run(ctx context.Context, cfg Config) (Result, error) {
	if err := cfg.validate(); err != nil {
		return Result{}, err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: cfg.Clients, MaxIdleConns: cfg.Clients, DisableCompression: true}
	defer transport.CloseIdleConnections()
	start := time.Now()
	c := &client{cfg: &cfg, http: &http.Client{Transport: transport}, seen: newRecorder(&cfg, start)}
	next, stop := closedLoop(&cfg, start), func() {}
	if cfg.Arrivals != nil {
		next, stop = openLoop(ctx, &cfg, start)
	}
	defer stop()
	done := make(chan struct{})
	defer close(done)
	go c.seen.watch(cfg.Watch, done)
	var clients sync.WaitGroup
	for range cfg.Clients {
		clients.Go(func() { c.loop(ctx, next) })
	}
	clients.Wait()
	return c.seen.result(time.Now()), ctx.Err()
}

// loop sends what next gives until there is no more.
func (c *client) loop(ctx context.Context, next func() (arrival, bool)) {
	for ctx.Err() == nil {
		a, more := next()
		if !more {
			return
		}
		if !c.send(ctx, a) && c.cfg.Arrivals == nil {
			sleepUntil(ctx, time.Now().Add(pause))
		}
	}
}

// pause keeps a client of the closed loop whose request failed from asking again at once,
// which would measure refusals only.
const pause = 100 * time.Millisecond

// sleepUntil waits for at; false if ctx ended first.
func sleepUntil(ctx context.Context, at time.Time) bool {
	select {
	case <-time.After(time.Until(at)):
		return true
	case <-ctx.Done():
		return false
	}
}

// closedLoop gives every client its next request at once, until time or number run out.
func closedLoop(cfg *Config, start time.Time) func() (arrival, bool) {
	var sent atomic.Int64
	return func() (arrival, bool) {
		n := int(sent.Add(1)) - 1
		now := time.Now()
		return arrival{n, now}, now.Sub(start) < cfg.WarmUp+cfg.Duration && (cfg.Requests == 0 || n < cfg.Requests)
	}
}

// openLoop gives out arrivals at their times; where no client is free, later, but with
// the time that was meant. stop is to be called when no more are wanted.
func openLoop(ctx context.Context, cfg *Config, start time.Time) (next func() (arrival, bool), stop func()) {
	var mu sync.Mutex
	offsets, stop := iter.Pull(cfg.Arrivals)
	n := 0
	draw := func() (arrival, bool) {
		mu.Lock()
		defer mu.Unlock()
		offset, more := offsets()
		n++
		return arrival{n - 1, start.Add(offset)}, more && offset < cfg.WarmUp+cfg.Duration && (cfg.Requests == 0 || n <= cfg.Requests)
	}
	return func() (arrival, bool) {
		a, more := draw()
		return a, more && sleepUntil(ctx, a.at)
	}, stop
}
