package server

import (
	"math"
	"sync"
	"time"
)

// pace measures how fast the engine gets through its requests: the mean time between two
// ends lately, while there was work. It is safe for concurrent use.
type pace struct {
	now    func() time.Time
	mu     sync.Mutex
	open   int       // requests that the engine has
	latest time.Time // end, or the beginning of work after rest
	mean   time.Duration
}

// begin counts a request that the engine took.
func (p *pace) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == 0 {
		p.latest = p.now()
	}
	p.open++
}

// end counts requests that end together, as the prompts of one HTTP request do. Those that
// never ran tell nothing of the pace.
func (p *pace) end(all, ran int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open -= all
	if ran == 0 {
		return
	}
	now := p.now()
	each := now.Sub(p.latest) / time.Duration(ran)
	p.latest = now
	if p.mean == 0 {
		p.mean = each
		return
	}
	const memory = 8 // ends that the mean looks back, about
	p.mean += (each - p.mean) / memory
}

// wait returns the seconds until the engine is through with a number of waiting requests,
// from 1 to 60: beyond that nobody knows.
func (p *pace) wait(waiting int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	seconds := math.Ceil(float64(waiting) * p.mean.Seconds())
	return int(min(max(seconds, 1), 60))
}
