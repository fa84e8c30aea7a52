// Package load drives an OpenAI-compatible server with streaming requests and measures
// what its clients see.
//
// Closed loop: Config.Clients clients, each of which asks again when its answer has
// ended; it finds the throughput at a concurrency. Open loop: requests arrive at a mean
// Rate with exponential gaps (Poisson) whether or not earlier ones have ended; it finds
// the latency at a load. Every latency counts from the time at which a request was meant
// to be sent, so that a server that falls behind cannot hide it (coordinated omission).
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	// Rate is the mean number of arrivals a second; 0 is the closed loop.
	Rate float64
	// Duration is how long requests are begun; those under way then are finished.
	Duration time.Duration
	// Requests bounds their number; 0: Duration alone does.
	Requests int
	// Timeout bounds one request, from its connection to its last byte.
	Timeout time.Duration
	// Cancel is the share, 0 to 1, of requests that their client leaves within the
	// first half of the answer.
	Cancel float64
	// Seed decides arrivals and cancellations.
	Seed uint64
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
	case c.Rate < 0 || c.Cancel < 0 || c.Cancel > 1:
		return fmt.Errorf("load: rate %v must not be negative and the cancelled share %v must be from 0 to 1", c.Rate, c.Cancel)
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
	c := &client{cfg: &cfg, http: &http.Client{Transport: transport}, seen: newRecorder()}
	start := time.Now()
	next := closedLoop(&cfg, start)
	if cfg.Rate > 0 {
		next = openLoop(ctx, &cfg, start)
	}
	var clients sync.WaitGroup
	for range cfg.Clients {
		clients.Go(func() {
			for ctx.Err() == nil {
				a, more := next()
				if !more {
					return
				}
				if !c.send(ctx, a) && cfg.Rate == 0 {
					pause(ctx)
				}
			}
		})
	}
	clients.Wait()
	return c.seen.result(time.Since(start)), ctx.Err()
}

// pause keeps a client whose request failed from asking again at once, which would
// measure refusals only.
func pause(ctx context.Context) {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
	}
}

// closedLoop gives every client its next request at once, until time or number run out.
func closedLoop(cfg *Config, start time.Time) func() (arrival, bool) {
	var sent atomic.Int64
	return func() (arrival, bool) {
		n := int(sent.Add(1)) - 1
		now := time.Now()
		return arrival{n, now}, now.Sub(start) < cfg.Duration && (cfg.Requests == 0 || n < cfg.Requests)
	}
}

// openLoop gives out arrivals at their times; where no client is free, later, but with
// the time that was meant.
func openLoop(ctx context.Context, cfg *Config, start time.Time) func() (arrival, bool) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(cfg.Seed, 1))
	offset, n := time.Duration(0), 0
	draw := func() (arrival, bool) {
		mu.Lock()
		defer mu.Unlock()
		offset += time.Duration(random.ExpFloat64() / cfg.Rate * float64(time.Second))
		n++
		return arrival{n - 1, start.Add(offset)}, offset < cfg.Duration && (cfg.Requests == 0 || n <= cfg.Requests)
	}
	return func() (arrival, bool) {
		a, more := draw()
		if !more {
			return a, false
		}
		select {
		case <-time.After(time.Until(a.at)):
			return a, true
		case <-ctx.Done():
			return a, false
		}
	}
}
