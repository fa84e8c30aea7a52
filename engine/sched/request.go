package sched

import (
	"errors"
	"fmt"

	"github.com/ingot-llm/ingot/kv"
)

// Errors that Add wraps.
var (
	// ErrQueueFull says that MaxWaiting requests wait already; later there may be room.
	ErrQueueFull = errors.New("the queue is full")
	// ErrTooLong says that the request can never fit, however long it waits.
	ErrTooLong = errors.New("the request can never fit")
)

// Request asks for N continuations of a prompt.
type Request struct {
	ID        uint64  // chosen by the engine, unique among live requests
	Key       string  // whom the tokens are charged to, such as an API key's name
	Priority  int     // lower goes first; within one priority keys share by tokens
	Prompt    []int32 // at least one token id; not to be changed until the request ends
	MaxTokens int     // generated tokens for each continuation; 0 computes the prompt only
	N         int     // continuations, at least 1
	Adapter   int32   // its number from 1, 0 for none; part of the cache's name
	Salt      string  // part of the cache's name: the tenant whose cache may be shared

	// PromptLogits asks for the logits of every prompt row from LogitsFrom on, each in exactly
	// one batch. Rows that are still owed are computed even where the cache holds them.
	PromptLogits bool
	LogitsFrom   int // 0 .. len(Prompt)-1
}

// Info is what the scheduler knows of a live request.
type Info struct {
	CachedTokens int // prompt tokens found in the cache at the first admission
	Preemptions  int // of all its sequences together
	Waiting      bool
}

// request is a live Request. Its seqs are nil until forked and after their end.
type request struct {
	Request
	account  *account
	arrival  uint64
	seqs     []*seq // [N]
	live     int    // sequences that have not ended, counting those not yet forked
	admitted bool
	held     bool // its sequences are parked
	cached   int
	preempts int
}

// Add accepts a request, or refuses it with an error that wraps ErrQueueFull or
// ErrTooLong. An accepted request ends exactly once: when Commit has ended its last
// sequence, or by Cancel.
func (s *Scheduler) Add(r Request) error {
	if r.N < 1 || len(r.Prompt) == 0 || r.MaxTokens < 0 {
		panic(fmt.Sprintf("BUG: request %d has %d continuations of %d prompt tokens and max_tokens %d", r.ID, r.N, len(r.Prompt), r.MaxTokens))
	}
	if r.LogitsFrom < 0 || r.LogitsFrom >= len(r.Prompt) {
		panic(fmt.Sprintf("BUG: request %d wants the logits of its prompt from row %d of %d", r.ID, r.LogitsFrom, len(r.Prompt)))
	}
	if _, live := s.requests[r.ID]; live {
		panic(fmt.Sprintf("BUG: request %d is live already", r.ID))
	}
	if err := s.refuse(&r); err != nil {
		return err
	}
	s.arrivals++
	q := &request{Request: r, account: s.waiting.account(r.Key), arrival: s.arrivals, seqs: make([]*seq, r.N), live: r.N}
	q.account.live++
	leader := &seq{req: q, tokens: r.Prompt, forks: r.N - 1, shown: r.LogitsFrom}
	q.seqs[0] = leader
	s.requests[r.ID] = q
	s.fresh++
	s.waiting.push(leader)
	return nil
}

// refuse returns the error of a request that can never fit or does not fit the queue.
func (s *Scheduler) refuse(r *Request) error {
	if r.MaxTokens > s.cfg.MaxContext-len(r.Prompt) {
		return fmt.Errorf("%w: %d prompt tokens + %d new tokens, and the context holds %d", ErrTooLong, len(r.Prompt), r.MaxTokens, s.cfg.MaxContext)
	}
	blocks := kv.Blocks(len(r.Prompt) + max(r.MaxTokens, 1) - 1)
	switch c := s.cfg; {
	case blocks > c.Blocks:
		return fmt.Errorf("%w: %d prompt tokens + %d new tokens need %d blocks of %d tokens, and the cache has %d", ErrTooLong, len(r.Prompt), r.MaxTokens, blocks, kv.BlockTokens, c.Blocks)
	case r.N > c.MaxSeqs:
		return fmt.Errorf("%w: n = %d continuations, and at most %d sequences run at once", ErrTooLong, r.N, c.MaxSeqs)
	case s.fresh >= c.MaxWaiting:
		return fmt.Errorf("%w: %d requests wait, and at most %d may", ErrQueueFull, s.fresh, c.MaxWaiting)
	}
	return nil
}

// Cancel ends a request at once, whatever it is doing; its blocks are free for the next
// Next. It reports whether the request was live. The batch at hand may still name its
// sequences: their samples are not to be committed.
func (s *Scheduler) Cancel(id uint64) bool {
	r, live := s.requests[id]
	if !live {
		return false
	}
	for _, q := range r.seqs {
		if q == nil {
			continue
		}
		if q.sampling {
			s.pending -= q.seats()
		}
		s.end(q)
	}
	return true
}

// Info returns what is known of a live request, or false.
func (s *Scheduler) Info(id uint64) (Info, bool) {
	r, live := s.requests[id]
	if !live {
		return Info{}, false
	}
	return Info{CachedTokens: r.cached, Preemptions: r.preempts, Waiting: !r.admitted}, true
}
