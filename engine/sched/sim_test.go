package sched

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"

	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/kv"
)

// world plays the engine and its users against a Scheduler. Its cache memory holds for
// each slot a digest of the whole sequence up to that token, computed as attention
// would: from the digests that the block tables lead to. So a block that is shared
// wrongly, evicted too early, written twice or not copied shows as a wrong digest.
type world struct {
	t      *testing.T
	s      *Scheduler
	cfg    Config
	rng    *rand.Rand
	memory []uint64
	live   map[uint64]*shadow
	order  []uint64 // live requests, for choosing one without the map's order
	nextID uint64
	trace  uint64 // digest of all batches
	step   int
	stats  struct{ ended, cancelled, refused, preempted, copies, cached, rows, pinned, priced int }
}

// shadow is what the world knows of a request.
type shadow struct {
	Request
	root   uint64
	tokens [][]int32 // of each sequence; nil when it has ended
	left   int
	logits int // prompt rows before the next one that owes its logits
	added  int // step
}

func mix(h, x uint64) uint64 {
	h = (h ^ x) * 0x9E3779B97F4A7C15
	return h ^ h>>29
}

func newWorld(t *testing.T, cfg Config, seed uint64) *world {
	return &world{t: t, s: New(cfg), cfg: cfg, rng: rand.New(rand.NewPCG(seed, 7)), live: map[uint64]*shadow{},
		memory: make([]uint64, cfg.Blocks*kv.BlockTokens)}
}

func (w *world) fatal(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("step %d: "+format, append([]any{w.step}, args...)...)
}

// add offers a request and remembers it if it is accepted.
func (w *world) add(r Request) error {
	w.nextID++
	r.ID = w.nextID
	if err := w.s.Add(r); err != nil {
		w.stats.refused++
		return err
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %q", r.Adapter, r.Salt)
	sh := &shadow{Request: r, root: h.Sum64(), left: r.N, added: w.step, logits: r.LogitsFrom, tokens: make([][]int32, r.N)}
	for i := range sh.tokens {
		sh.tokens[i] = append([]int32(nil), r.Prompt...)
	}
	w.live[r.ID] = sh
	w.order = append(w.order, r.ID)
	return nil
}

// forget drops a request that has ended.
func (w *world) forget(id uint64) {
	delete(w.live, id)
	for i, x := range w.order {
		if x == id {
			w.order = append(w.order[:i], w.order[i+1:]...)
			return
		}
	}
}

// digest folds tokens[:n] as the memory does.
func (sh *shadow) digest(tokens []int32) uint64 {
	h := sh.root
	for _, id := range tokens {
		h = mix(h, uint64(id)+1)
	}
	return h
}

// run executes one step and returns whether there was one.
func (w *world) run() bool {
	w.step++
	b := w.s.Next()
	if b == nil {
		if !w.allHeld() {
			w.fatal("no batch while %d requests are live, not all on hold", len(w.live))
		}
		w.check()
		return false
	}
	w.check()
	w.stats.rows += len(b.Tokens)
	if w.s.reserved > 0 {
		w.stats.pinned++
	}
	w.shape(b)
	w.compute(b)
	w.record(b)
	for _, m := range b.Samples {
		w.commit(m)
	}
	w.check()
	return true
}

// allHeld reports whether every live request is on hold.
func (w *world) allHeld() bool {
	for _, id := range w.order {
		if !w.s.requests[id].held {
			return false
		}
	}
	return true
}

// hold puts a random request on hold or lets it go on; release lets all go on.
func (w *world) hold() {
	id := w.order[w.rng.IntN(len(w.order))]
	w.s.Hold(id, w.rng.IntN(3) == 0)
}

func (w *world) release() {
	for _, id := range w.order {
		w.s.Hold(id, false)
	}
}

func (w *world) check() {
	if err := w.s.Check(); err != nil {
		w.fatal("%v", err)
	}
}

// shape checks the batch's form: limits, order of runs, samples.
func (w *world) shape(b *batch.Batch) {
	decodes, prompt, keys, seen := 0, 0, 0, map[batch.Seq]bool{}
	for i, id := range b.Seqs {
		rows := int(b.RowStart[i+1] - b.RowStart[i])
		sh := w.live[id.Request]
		if sh == nil || sh.tokens[id.Index] == nil || seen[id] {
			w.fatal("sequence %v is not live or comes twice", id)
		}
		seen[id] = true
		if w.s.requests[id.Request].held {
			w.fatal("sequence %v is computed though it is on hold", id)
		}
		if rows == 1 && int(b.SeqLen[i]) == len(sh.tokens[id.Index]) {
			if prompt > 0 {
				w.fatal("sequence %v decodes after a chunk", id)
			}
			decodes++
		} else {
			prompt += rows
			keys += rows*int(b.SeqLen[i]) - rows*(rows-1)/2
		}
		if rows < 1 || rows > w.cfg.ChunkTokens && rows > 1 {
			w.fatal("sequence %v has %d rows", id, rows)
		}
	}
	if p := w.s.price; p.Limit > 0 && decodes > 0 && prompt > leastRows {
		w.stats.priced++
		if cost := p.Step + int64(decodes)*p.Decode + int64(prompt)*p.Prompt + int64(keys)*p.Key; cost > p.Limit {
			w.fatal("%d decoding rows and %d prompt rows that see %d keys cost %d at %+v", decodes, prompt, keys, cost, p)
		}
	}
	if decodes > 0 && prompt > w.cfg.ChunkTokens || len(b.Tokens) > w.cfg.MaxBatchTokens || len(b.Seqs) > w.cfg.MaxSeqs {
		w.fatal("%d decoding rows, %d prompt rows, %d sequences", decodes, prompt, len(b.Seqs))
	}
	if n := len(b.Seqs); len(b.RowStart) != n+1 || len(b.SeqLen) != n || len(b.TableStart) != n+1 ||
		int(b.RowStart[n]) != len(b.Tokens) || int(b.TableStart[n]) != len(b.Tables) ||
		len(b.Positions) != len(b.Tokens) || len(b.Slots) != len(b.Tokens) || len(b.LogitRows) != len(b.LogitSeq) {
		w.fatal("array lengths disagree")
	}
}

// compute carries out the copies and the rows, and checks every key that a row sees.
func (w *world) compute(b *batch.Batch) {
	for _, c := range b.Copies {
		copy(w.memory[c.Dst*kv.BlockTokens:(c.Dst+1)*kv.BlockTokens], w.memory[c.Src*kv.BlockTokens:])
		w.stats.copies++
	}
	written := map[int32]bool{}
	for i, id := range b.Seqs {
		sh := w.live[id.Request]
		tokens := sh.tokens[id.Index]
		table := b.Tables[b.TableStart[i]:b.TableStart[i+1]]
		at := func(pos int32) int32 { return table[pos/kv.BlockTokens]*kv.BlockTokens + pos%kv.BlockTokens }
		for row := b.RowStart[i]; row < b.RowStart[i+1]; row++ {
			pos, slot := b.Positions[row], b.Slots[row]
			if want := b.SeqLen[i] - (b.RowStart[i+1] - row); pos != want || slot != at(pos) || b.Tokens[row] != tokens[pos] {
				w.fatal("row %d of %v: position %d (want %d), slot %d, token %d", row, id, pos, want, slot, b.Tokens[row])
			}
			if refs := w.s.pool.Refs(slot / kv.BlockTokens); refs != 1 || w.s.pool.Published(slot/kv.BlockTokens) || written[slot] {
				w.fatal("row %d of %v writes block %d with %d owners", row, id, slot/kv.BlockTokens, refs)
			}
			written[slot] = true
			h := sh.root
			if pos > 0 {
				h = w.memory[at(pos-1)]
			}
			w.memory[slot] = mix(h, uint64(b.Tokens[row])+1)
		}
		h := sh.root
		for pos := range b.SeqLen[i] {
			if h = mix(h, uint64(tokens[pos])+1); w.memory[at(pos)] != h {
				w.fatal("sequence %v of prompt %d sees a wrong key at %d", id, len(sh.Prompt), pos)
			}
		}
	}
	w.logits(b)
}

// logits checks that each row that needs logits is named, and no other.
func (w *world) logits(b *batch.Batch) {
	n := 0
	for i, id := range b.Seqs {
		sh := w.live[id.Request]
		for row := b.RowStart[i]; row < b.RowStart[i+1]; row++ {
			pos := int(b.Positions[row])
			owed := sh.PromptLogits && id.Index == 0 && pos == sh.logits && pos < len(sh.Prompt)
			if owed {
				sh.logits++
			}
			if owed || pos == len(sh.tokens[id.Index])-1 {
				if n >= len(b.LogitRows) || b.LogitRows[n] != row || b.LogitSeq[n] != int32(i) {
					w.fatal("row %d of %v is no logit row", row, id)
				}
				n++
			}
		}
	}
	if bound := w.s.cfg.PromptLogitRows; bound > 0 && n > w.s.cfg.MaxSeqs+bound {
		w.fatal("%d logit rows, at most %d sequences + %d are agreed", n, w.s.cfg.MaxSeqs, bound)
	}
	if n != len(b.LogitRows) {
		w.fatal("%d logit rows, want %d", len(b.LogitRows), n)
	}
}

// record adds the batch to the trace.
func (w *world) record(b *batch.Batch) {
	for _, list := range [][]int32{b.Tokens, b.Positions, b.Slots, b.RowStart, b.SeqLen, b.TableStart, b.Tables, b.LogitRows, b.LogitSeq} {
		w.trace = mix(w.trace, uint64(len(list)))
		for _, x := range list {
			w.trace = mix(w.trace, uint64(x))
		}
	}
	for _, m := range b.Samples {
		w.trace = mix(w.trace, m.Seq.Request<<8|uint64(m.Seq.Index))
	}
}

// commit answers a sample with a token that depends on the sequence and its place alone.
func (w *world) commit(m batch.Sample) {
	sh := w.live[m.Seq.Request]
	if sh == nil { // cancelled by an earlier sample of this step
		return
	}
	tokens := sh.tokens[m.Seq.Index]
	if w.rng.IntN(500) == 0 { // as if the logits were bad
		w.cancel(sh.ID)
		return
	}
	if sh.PromptLogits && sh.logits < len(sh.Prompt) {
		w.fatal("request %d generates with %d of %d prompt rows shown", sh.ID, sh.logits, len(sh.Prompt))
	}
	h := mix(sh.digest(tokens), uint64(m.Seq.Index))
	done := h%40 == 0
	token := int32(h >> 8 % 3)
	ended := w.s.Commit(m.Seq, token, done)
	made := len(tokens) + 1 - len(sh.Prompt)
	if want := done || made >= sh.MaxTokens; ended != want {
		w.fatal("sequence %v ended %v after %d of %d tokens, done %v", m.Seq, ended, made, sh.MaxTokens, done)
	}
	if !ended {
		sh.tokens[m.Seq.Index] = append(tokens, token)
		return
	}
	sh.tokens[m.Seq.Index] = nil
	if sh.left--; sh.left == 0 {
		w.stats.ended++
		if _, live := w.s.Info(sh.ID); live {
			w.fatal("request %d is live after its last sequence", sh.ID)
		}
		w.forget(sh.ID)
	} else if info, live := w.s.Info(sh.ID); !live || info.Preemptions > w.s.patience*sh.N {
		w.fatal("request %d: live %v, preempted %d times", sh.ID, live, info.Preemptions)
	}
}

func (w *world) cancel(id uint64) {
	if !w.s.Cancel(id) || w.s.Cancel(id) {
		w.fatal("request %d was not cancelled exactly once", id)
	}
	w.stats.cancelled++
	w.forget(id)
}

// bounded fails if any sequence was preempted more often than promised.
func (w *world) bounded() {
	for _, id := range w.order {
		for _, q := range w.s.requests[id].seqs {
			if q != nil && q.preemptions > w.s.patience {
				w.fatal("sequence %v was preempted %d times", q.id(), q.preemptions)
			}
		}
	}
}

// randomRequest draws a request; prompts share beginnings so that the cache is hit.
func (w *world) randomRequest() Request {
	r := Request{Key: string(rune('a' + w.rng.IntN(4))), MaxTokens: w.rng.IntN(w.cfg.MaxContext/2 + 1), N: 1}
	if w.rng.IntN(4) == 0 {
		r.N = 1 + w.rng.IntN(4)
	}
	if w.rng.IntN(4) == 0 {
		r.Priority = w.rng.IntN(5) - 2
	}
	if w.rng.IntN(6) == 0 {
		r.Salt, r.Adapter = string(rune('a'+w.rng.IntN(2))), int32(w.rng.IntN(2))
	}
	r.PromptLogits = w.rng.IntN(8) == 0
	family := int32(w.rng.IntN(3))
	for i := range 1 + w.rng.IntN(w.cfg.MaxContext) {
		token := family
		if i > 20 && w.rng.IntN(16) == 0 {
			token = int32(w.rng.IntN(3))
		}
		r.Prompt = append(r.Prompt, token)
	}
	if r.PromptLogits && w.rng.IntN(2) == 0 {
		r.LogitsFrom = w.rng.IntN(len(r.Prompt))
	}
	return r
}

// randomPrice draws a price at which a step holds no prompt row, some, or all.
func (w *world) randomPrice() Price {
	return Price{Limit: w.rng.Int64N(600), Step: w.rng.Int64N(20), Decode: w.rng.Int64N(10), Prompt: w.rng.Int64N(6), Key: w.rng.Int64N(2)}
}

// play plays steps steps of arrivals, cancels and work, then lets the rest drain.
func (w *world) play(steps int) {
	rush := 4 + w.rng.IntN(8)
	for range steps {
		if w.step%200 == 0 {
			rush = 1 + w.rng.IntN(12) // busy and idle times
		}
		if w.rng.IntN(rush) == 0 {
			for range 1 + w.rng.IntN(3) {
				_ = w.add(w.randomRequest()) // a refusal is counted and is no failure
			}
		}
		if len(w.order) > 0 && w.rng.IntN(25) == 0 {
			w.cancel(w.order[w.rng.IntN(len(w.order))])
		}
		if len(w.order) > 0 && w.rng.IntN(10) == 0 {
			w.hold()
		}
		if w.rng.IntN(20) == 0 {
			w.s.SetPrice(w.randomPrice())
		}
		w.run()
		w.bounded()
	}
	w.release()
	for limit := w.step + 100000; w.run(); {
		if w.step > limit {
			w.fatal("%d requests do not end", len(w.live))
		}
	}
	total := w.s.Stats()
	w.stats.preempted, w.stats.cached = int(total.Preemptions), int(total.Cached)
	if total.UsedBlocks != 0 || total.RunningSeqs+total.WaitingSeqs+total.WaitingRequests != 0 {
		w.fatal("left behind: %+v", total)
	}
	if len(w.s.waiting.accounts)+len(w.s.waiting.lines) != 0 {
		w.fatal("%d keys and %d lines left behind", len(w.s.waiting.accounts), len(w.s.waiting.lines))
	}
	if got := w.stats.ended + w.stats.cancelled + w.stats.refused; got != int(w.nextID) {
		w.fatal("%d requests came and %d went", w.nextID, got)
	}
}

// randomConfig draws a small machine, so that everything runs short.
func randomConfig(seed uint64) Config {
	rng := rand.New(rand.NewPCG(seed, 3))
	seqs := 1 + rng.IntN(8)
	return Config{
		MaxSeqs:         seqs,
		MaxBatchTokens:  seqs + rng.IntN(40),
		ChunkTokens:     1 + rng.IntN(40),
		MaxContext:      20 + rng.IntN(80),
		MaxWaiting:      1 + rng.IntN(30),
		Blocks:          3 + rng.IntN(16),
		PromptLogitRows: rng.IntN(6),
		Model:           "sim",
	}
}

// TestSimulation runs 100,000 steps over 50 machines and checks every invariant after
// each of them.
func TestSimulation(t *testing.T) {
	var sum struct{ ended, cancelled, refused, preempted, copies, cached, rows, pinned, priced int }
	for seed := range uint64(50) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			w := newWorld(t, randomConfig(seed), seed)
			if seed%2 == 1 { // sequences are pinned early and often
				w.s.patience = 1 + int(seed/2)%2
			}
			w.play(2000)
			sum.ended += w.stats.ended
			sum.cancelled += w.stats.cancelled
			sum.refused += w.stats.refused
			sum.preempted += w.stats.preempted
			sum.copies += w.stats.copies
			sum.cached += w.stats.cached
			sum.rows += w.stats.rows
			sum.pinned += w.stats.pinned
			sum.priced += w.stats.priced
		})
	}
	t.Logf("%+v", sum)
	if min(sum.ended, sum.cancelled, sum.refused, sum.preempted, sum.copies, sum.cached, sum.pinned, sum.priced) < 1000 {
		t.Errorf("the simulation does not reach everything: %+v", sum)
	}
}

// TestReplay gives the same trace for the same seed and another for another.
func TestReplay(t *testing.T) {
	traces := map[uint64]bool{}
	for seed := range uint64(5) {
		a, b := newWorld(t, randomConfig(seed), seed), newWorld(t, randomConfig(seed), seed)
		a.play(500)
		b.play(500)
		if a.trace != b.trace {
			t.Errorf("seed %d: traces %x and %x", seed, a.trace, b.trace)
		}
		traces[a.trace] = true
	}
	if len(traces) != 5 {
		t.Errorf("5 seeds gave %d traces", len(traces))
	}
}
