package sched

import (
	"math"
	"sort"

	"github.com/ingot-llm/ingot/kv"
)

// Price is what steps cost and may cost, in a unit of the engine's choice: it measures,
// for a scheduler has no clock. A step of d decoding rows and p rows of prompts, which see
// k keys together, is taken to cost Step + d*Decode + p*Prompt + k*Key.
type Price struct {
	// Limit bounds a step in which sequences decode, so that they get their tokens in
	// time; 0 is no bound.
	Limit                     int64
	Step, Decode, Prompt, Key int64 // at least 0
}

// SetPrice replaces the price, which is zero at first, from the next Next on.
func (s *Scheduler) SetPrice(p Price) { s.price = p }

// leastRows is how many rows of prompts a step takes whatever they cost, so that prompts
// get on, and of what many times a chunk is that ends for the cost: kernels compute rows
// in groups of that size.
const leastRows = kv.BlockTokens

// budget is what is left of a step for prompts.
type budget struct {
	rows  int   // that fit the batch
	least int   // that are taken whatever they cost
	left  int64 // of the limit
	price Price
}

// budget returns what a step leaves for prompts beside decodes decoding rows. Who decodes
// waits for one chunk at most, and no longer than the price's limit.
func (s *Scheduler) budget(decodes int) budget {
	b := budget{rows: s.cfg.MaxBatchTokens - decodes, least: leastRows, left: math.MaxInt64}
	if decodes == 0 {
		return b
	}
	b.rows = min(b.rows, s.cfg.ChunkTokens)
	if s.price.Limit > 0 {
		b.price = s.price
		b.left = s.price.Limit - s.price.Step - int64(decodes)*s.price.Decode
	}
	return b
}

// take returns how many of the next n rows of a prompt fit, of which from are computed,
// and takes them out of the budget.
func (b *budget) take(from, n int) int {
	n = min(n, b.rows)
	n = max(b.affords(from, n), min(n, b.least))
	b.rows -= n
	b.least = max(0, b.least-n)
	b.left -= b.price.rows(from, n)
	return n
}

// affords returns how many of the next n rows the limit leaves room for: all, or whole
// groups of leastRows.
func (b *budget) affords(from, n int) int {
	fit := sort.Search(n, func(i int) bool { return b.price.rows(from, i+1) > b.left })
	if fit < n {
		fit -= fit % leastRows
	}
	return fit
}

// rows returns what n rows of a prompt cost after the first from ones.
func (p *Price) rows(from, n int) int64 {
	keys := n*from + n*(n+1)/2
	return int64(n)*p.Prompt + int64(keys)*p.Key
}
