package sched

import (
	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/kv"
)

// maxPreemptions is how often a sequence is preempted before it is pinned (DESIGN's
// reliability figure C9: no admitted request more than 8 times).
const maxPreemptions = 8

// seq is one sequence of a request. While it waits its table is empty and line is set;
// while it runs its table has room for all its tokens but perhaps the last.
//
//	tokens   |-------- prompt --------|--- generated ---|
//	         |-- computed --|- planned -|
//	            in the cache   rows of the batch at hand
type seq struct {
	req         *request
	index       int32
	tokens      []int32
	chain       *kv.Chain
	table       kv.Table
	computed    int
	planned     int
	sampling    bool // the batch at hand asks for its next token
	shown       int  // prompt rows whose logits are not owed: handed out, or before LogitsFrom
	forks       int  // sequences to be forked from it when the prompt is computed
	preemptions int

	parked     bool  // neither runs nor waits: its reader does not keep up
	line       *line // the line that it waits in, or nil
	prev, next *seq  // its neighbours there
}

// before is the order of rank: priority, then arrival.
func (q *seq) before(o *seq) bool {
	a, b := q.req, o.req
	if a.Priority != b.Priority {
		return a.Priority < b.Priority
	}
	if a.arrival != b.arrival {
		return a.arrival < b.arrival
	}
	return q.index < o.index
}

func (q *seq) id() batch.Seq { return batch.Seq{Request: q.req.ID, Index: q.index} }

// rest returns how many tokens are left to compute before the next one can be drawn.
func (q *seq) rest() int { return len(q.tokens) - q.computed }

// seats returns how many of MaxSeqs the sequence takes: the forks have theirs reserved.
func (q *seq) seats() int { return 1 + q.forks }

// limit returns the most tokens that the sequence may ever keep in the cache. The last
// generated token is never fed back.
func (q *seq) limit() int { return len(q.req.Prompt) + max(q.req.MaxTokens, 1) - 1 }

// own moves the tokens to memory of the sequence's own, with room for all that it may
// ever have, so that no later step allocates.
func (q *seq) own() {
	q.tokens = append(make([]int32, 0, len(q.req.Prompt)+q.req.MaxTokens), q.tokens...)
}

// wantsLogits reports whether the row of token i is a logit row.
func (q *seq) wantsLogits(i int) bool {
	if i == len(q.tokens)-1 {
		return true
	}
	return q.owesPrompt() && i >= q.shown && i < len(q.req.Prompt)
}

// owesPrompt reports whether prompt rows' logits are still to be handed out.
func (q *seq) owesPrompt() bool {
	return q.req.PromptLogits && q.index == 0 && q.shown < len(q.req.Prompt)
}

// reusable returns how many leading tokens may come from the cache: one must be left to
// compute, and so must every row whose logits are owed.
func (q *seq) reusable() int {
	if q.owesPrompt() {
		return min(q.shown, len(q.tokens)-1)
	}
	return len(q.tokens) - 1
}
