package sched

import (
	"fmt"

	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/kv"
)

// Config bounds a Scheduler. Every field must be at least 1, but Model may be empty and
// PromptLogitRows 0.
type Config struct {
	MaxSeqs        int // sequences that run at once, at most MaxBatchTokens
	MaxBatchTokens int // rows of a step
	ChunkTokens    int // prompt rows of one sequence in a step, and of all where others decode
	MaxContext     int // tokens of a sequence, prompt and generated
	MaxWaiting     int // requests that wait for their first admission
	// PromptLogitRows bounds the rows of a step that are handed out for PromptLogits, so
	// that a batch has at most MaxSeqs + PromptLogitRows logit rows; 0 is no bound.
	PromptLogitRows int
	Blocks          int    // blocks of kv.BlockTokens tokens in the cache
	Model           string // part of the cache's name
}

// Validate returns an error that names the first field that is out of range.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"MaxSeqs", c.MaxSeqs}, {"MaxBatchTokens", c.MaxBatchTokens}, {"ChunkTokens", c.ChunkTokens},
		{"MaxContext", c.MaxContext}, {"MaxWaiting", c.MaxWaiting}, {"Blocks", c.Blocks},
	} {
		if f.value < 1 {
			return fmt.Errorf("%s is %d, must be at least 1", f.name, f.value)
		}
	}
	if c.MaxSeqs > c.MaxBatchTokens {
		return fmt.Errorf("MaxSeqs is %d, must be at most MaxBatchTokens (%d): each running sequence takes a row", c.MaxSeqs, c.MaxBatchTokens)
	}
	return nil
}

// Scheduler plans the steps of an engine. See the package's comment.
//
// Invariants, which Check verifies:
//  1. A live sequence waits in one line, is in running, which is in rank order, or is parked.
//  2. free seats + the running sequences' seats = MaxSeqs.
//  3. reserved is the sum of the running sequences' reserves, and that many blocks are
//     available.
type Scheduler struct {
	cfg      Config
	price    Price
	pool     *kv.Pool
	batch    *batch.Batch
	requests map[uint64]*request
	waiting  queue
	running  []*seq
	seats    int // of MaxSeqs, not taken
	reserved int
	usual    int        // tokens of an answer, of those that ended lately
	patience int        // preemptions after which a sequence is pinned, at least 1
	busy     perAdapter // running sequences
	fresh    int        // waiting requests that were never admitted
	pending  int        // samples of the batch at hand that Commit has not seen
	asked    []*request // whose those samples are, one for each
	answered int        // samples up to the last one that Commit has seen
	arrivals uint64
	found    []kv.Block // memory of lookup
	total    Totals
}

// firstUsual is how long an answer is thought to get before any has ended.
const firstUsual = 256

// New returns a scheduler without requests. A Config that Validate refuses panics.
func New(cfg Config) *Scheduler {
	if err := cfg.Validate(); err != nil {
		panic("BUG: " + err.Error())
	}
	return &Scheduler{
		cfg:      cfg,
		pool:     kv.NewPool(cfg.Blocks),
		batch:    batch.New(cfg.MaxBatchTokens, cfg.MaxSeqs, cfg.Blocks),
		requests: map[uint64]*request{},
		waiting:  newQueue(),
		running:  make([]*seq, 0, cfg.MaxSeqs),
		seats:    cfg.MaxSeqs,
		usual:    firstUsual,
		patience: maxPreemptions,
		asked:    make([]*request, 0, cfg.MaxSeqs),
	}
}

// Next takes the last batch as computed and plans the next one; nil where nothing is to
// be computed: no request is live, or all are on hold. Every sample of the last batch must have been committed or its request cancelled.
// The batch is the scheduler's and valid until the next call.
func (s *Scheduler) Next() *batch.Batch {
	if s.pending > 0 {
		panic(fmt.Sprintf("BUG: %d samples of the last batch were not committed", s.pending))
	}
	for _, q := range s.running {
		s.settle(q)
	}
	s.batch.Reset()
	s.asked, s.answered = s.asked[:0], 0
	s.park()
	s.admit()
	s.makeRoom()
	s.plan()
	if len(s.batch.Seqs) == 0 {
		return nil
	}
	return s.batch
}

// Commit answers a sample of the batch at hand with the token drawn; done says that the
// sequence ends with it (a stop token or string, an error of the reader). It reports
// whether the sequence has ended, which is also so at MaxTokens. With MaxTokens 0 the
// token is dropped.
func (s *Scheduler) Commit(id batch.Seq, token int32, done bool) (ended bool) {
	q := s.sampled(id)
	s.settle(q)
	q.sampling = false
	s.pending--
	most := len(q.req.Prompt) + q.req.MaxTokens
	if len(q.tokens) < most {
		q.tokens = append(q.tokens, token)
		q.req.account.served++
		s.total.Generated++
	}
	if done || len(q.tokens) == most {
		s.usual += (len(q.tokens) - len(q.req.Prompt) - s.usual) / 8
		s.end(q)
		return true
	}
	return false
}

// sampled returns the sequence of a sample that is due, which it forks from the leader
// if the prompt has just been computed.
func (s *Scheduler) sampled(id batch.Seq) *seq {
	r := s.asker(id)
	if r == nil {
		panic(fmt.Sprintf("BUG: commit to request %d, which is not live", id.Request))
	}
	if leader := r.seqs[0]; leader != nil && leader.sampling && leader.forks > 0 {
		s.fork(leader)
	}
	q := r.seqs[id.Index]
	if q == nil || !q.sampling {
		panic(fmt.Sprintf("BUG: commit to sequence %d of request %d, which asked for no token", id.Index, id.Request))
	}
	return q
}

// asker returns the request of a sample, nil if it is not live. Samples are answered in
// their order but for those of cancelled requests, which spares looking them up among all
// that wait.
func (s *Scheduler) asker(id batch.Seq) *request {
	for i := s.answered; i < len(s.asked); i++ {
		if s.batch.Samples[i].Seq == id && s.asked[i].live > 0 {
			s.answered = i + 1
			return s.asked[i]
		}
	}
	return s.requests[id.Request]
}

// fork makes the other sequences of a request out of the first one, whose prompt has
// just been computed. They take the seats that were kept for them.
func (s *Scheduler) fork(leader *seq) {
	s.settle(leader)
	r := leader.req
	for i := range leader.forks {
		f := &seq{req: r, index: int32(i + 1), tokens: r.Prompt, computed: leader.computed, sampling: true}
		f.own()
		f.chain = leader.chain.Clone(cap(f.tokens))
		f.table = s.pool.Fork(&leader.table, f.limit())
		r.seqs[f.index] = f
		s.enter(f)
	}
	leader.forks = 0
}

// settle takes the rows planned for q as computed and lets others find its full blocks.
func (s *Scheduler) settle(q *seq) {
	if q.planned == 0 {
		return
	}
	q.computed += q.planned
	q.planned = 0
	q.shown = max(q.shown, min(q.computed, len(q.req.Prompt)))
	q.chain.Extend(q.tokens)
	s.pool.Publish(&q.table, q.chain, q.tokens, q.computed)
}

// enter puts a sequence among the running ones, in rank order.
func (s *Scheduler) enter(q *seq) {
	i := len(s.running)
	s.running = append(s.running, q)
	s.busy.add(q, 1)
	for ; i > 0 && q.before(s.running[i-1]); i-- {
		s.running[i] = s.running[i-1]
	}
	s.running[i] = q
}

// leave takes a running sequence out and gives its blocks and reserve back.
func (s *Scheduler) leave(q *seq) {
	i := 0
	for s.running[i] != q {
		i++
	}
	copy(s.running[i:], s.running[i+1:])
	s.running[len(s.running)-1] = nil
	s.running = s.running[:len(s.running)-1]
	s.busy.add(q, -1)
	s.seats += q.seats()
	s.reserved -= s.reserve(q)
	s.pool.Close(&q.table)
	q.computed = 0
}

// end ends a sequence wherever it is, and its request with its last one.
func (s *Scheduler) end(q *seq) {
	r := q.req
	switch {
	case q.parked:
	case q.line != nil:
		s.waiting.remove(q)
	default:
		s.leave(q)
	}
	r.seqs[q.index] = nil
	if r.live -= q.seats(); r.live > 0 {
		return
	}
	if !r.admitted {
		s.fresh--
	}
	delete(s.requests, r.ID)
	s.waiting.leave(r.account)
}
