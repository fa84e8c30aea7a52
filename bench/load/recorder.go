package load

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// recorder gathers what all clients see.
type recorder struct {
	cfg         *Config
	from, until time.Time // requests meant to be sent between them count

	mu                                       sync.Mutex
	timeToFirst, interToken, perToken, total *hdrhistogram.Histogram // microseconds
	sum                                      Result
	inFlight                                 int
	chunks, windowChunks                     int64 // of text: of requests that count, between from and until
	timeline                                 []second
}

// second is a Second in the making.
type second struct {
	Second
	firsts []time.Duration
}

func newRecorder(cfg *Config, start time.Time) *recorder {
	from := start.Add(cfg.WarmUp)
	return &recorder{cfg: cfg, from: from, until: from.Add(cfg.Duration),
		timeToFirst: histogram(), interToken: histogram(), perToken: histogram(), total: histogram(),
		sum: Result{Started: from, Errors: map[string]Failures{}}}
}

// longest is the largest latency that is told from larger ones.
const longest = time.Hour

// histogram holds microseconds with three significant digits.
func histogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longest.Microseconds(), 3)
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	if err := h.RecordValue(min(max(d, 0), longest).Microseconds()); err != nil {
		panic("BUG: a clamped latency lies outside the histogram: " + err.Error())
	}
}

// counts reports whether a request meant to be sent at due counts.
func (r *recorder) counts(due time.Time) bool { return !due.Before(r.from) }

// inWindow reports whether now is among the times that rates are of.
func (r *recorder) inWindow(now time.Time) bool { return !now.Before(r.from) && now.Before(r.until) }

// at returns the second of now, nil within the warm-up. mu is held.
func (r *recorder) at(now time.Time) *second {
	if now.Before(r.from) {
		return nil
	}
	i := int(now.Sub(r.from) / time.Second)
	for len(r.timeline) <= i {
		r.timeline = append(r.timeline, second{Second: Second{InFlight: r.inFlight}})
	}
	return &r.timeline[i]
}

// begin notes that a request is sent.
func (r *recorder) begin() {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight++
	if s := r.at(now); s != nil {
		s.InFlight = max(s.InFlight, r.inFlight)
	}
}

// text notes a piece of text, which came after since the one before, or as the first.
func (r *recorder) text(t *track, now time.Time, since time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inWindow(now) {
		r.windowChunks++
	}
	if s := r.at(now); s != nil {
		s.Tokens++
		s.LongestGap = max(s.LongestGap, since)
		if t.chunks == 1 {
			s.firsts = append(s.firsts, now.Sub(t.due))
		}
	}
	if since > 0 && r.counts(t.due) {
		record(r.interToken, since)
	}
}

// end records how a request ended.
func (r *recorder) end(t *track, err error) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.at(now)
	r.inFlight--
	left := errors.Is(err, errLeft)
	if s != nil && err == nil {
		s.Completed++
	}
	if s != nil && err != nil && !left {
		s.Failed++
	}
	if !r.counts(t.due) {
		return
	}
	r.chunks += int64(t.chunks)
	r.sum.Requests++
	r.sum.PromptTokens += t.prompt
	r.sum.OutputTokens += t.output()
	if t.chunks > 0 {
		record(r.timeToFirst, t.first.Sub(t.due))
	}
	switch {
	case err == nil:
		r.complete(t, now)
	case left:
		r.sum.Cancelled++
	default:
		r.sum.fail(err)
	}
}

// complete records a whole answer. mu is held.
func (r *recorder) complete(t *track, now time.Time) {
	r.sum.Completed++
	record(r.total, now.Sub(t.due))
	if each := t.perToken(); each > 0 {
		record(r.perToken, each)
	}
	good := t.good(r.cfg.Objectives, now)
	if good {
		r.sum.Good++
	}
	if r.inWindow(now) {
		r.sum.Window.Completed++
		if good {
			r.sum.Window.Good++
		}
	}
}

// watch tells f how it goes, once a second until done.
func (r *recorder) watch(f func(Status), done <-chan struct{}) {
	if f == nil {
		return
	}
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case now := <-every.C:
			f(r.status(now))
		case <-done:
			return
		}
	}
}

func (r *recorder) status(now time.Time) Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at(now)
	s := Status{Elapsed: now.Sub(r.from), InFlight: r.inFlight, Completed: r.sum.Completed, Failed: r.sum.Failed}
	if n := len(r.timeline); n > 1 {
		s.Second = r.timeline[n-2].done(1)
	}
	return s
}

// done returns the second with each chunk of text counted as perChunk tokens.
func (s *second) done(perChunk float64) Second {
	out := s.Second
	out.Tokens = int64(float64(s.Tokens)*perChunk + 0.5)
	if len(s.firsts) > 0 {
		firsts := slices.Sorted(slices.Values(s.firsts))
		out.TimeToFirst = firsts[len(firsts)/2]
	}
	return out
}

func (r *recorder) result(now time.Time) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sum
	s.Elapsed = max(now.Sub(r.from), 1)
	s.TimeToFirst, s.InterToken = summarize(r.timeToFirst), summarize(r.interToken)
	s.PerToken, s.EndToEnd = summarize(r.perToken), summarize(r.total)
	perChunk := 1.0
	if r.chunks > 0 {
		perChunk = float64(s.OutputTokens) / float64(r.chunks)
	}
	s.Window.Length = min(s.Elapsed, r.cfg.Duration)
	s.Window.Tokens = int64(float64(r.windowChunks)*perChunk + 0.5)
	for i := range r.timeline {
		s.Timeline = append(s.Timeline, r.timeline[i].done(perChunk))
	}
	return s
}

// Percentiles are those of Latency.Curve.
var Percentiles = []float64{0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.9, 99.99, 100}

func summarize(h *hdrhistogram.Histogram) Latency {
	at := func(percent float64) time.Duration {
		return time.Duration(h.ValueAtPercentile(percent)) * time.Microsecond
	}
	l := Latency{Count: h.TotalCount(), Mean: time.Duration(h.Mean() * float64(time.Microsecond)),
		P50: at(50), P90: at(90), P95: at(95), P99: at(99), P999: at(99.9), Max: time.Duration(h.Max()) * time.Microsecond}
	for _, p := range Percentiles {
		l.Curve = append(l.Curve, at(p))
	}
	l.Curve[0] = time.Duration(h.Min()) * time.Microsecond
	return l
}

// track follows one request. One goroutine's.
type track struct {
	recorder      *recorder
	due           time.Time // when it was meant to be sent
	leaveAt       int       // chunks of text; -1: never
	keep          bool      // the first choice's answer
	answer        strings.Builder
	chunks        int       // with text
	first, latest time.Time // such a chunk
	byChoice      []time.Time
	prompt        int64
	tokens        int64 // 0 if the server does not tell
}

func (t *track) leaves() bool { return t.leaveAt >= 0 && t.chunks >= t.leaveAt }

// chunk notes a chunk that came at now.
func (t *track) chunk(c *chunk, now time.Time) {
	if c.Usage != nil {
		t.prompt, t.tokens = c.Usage.PromptTokens, c.Usage.CompletionTokens
	}
	for i := range c.Choices {
		choice := &c.Choices[i]
		if !choice.hasOutput() {
			continue
		}
		t.text(choice.Index, now)
		if t.keep && choice.Index == 0 {
			t.answer.WriteString(choice.Text)
			t.answer.WriteString(choice.Delta.Content)
		}
	}
}

// text notes that a choice got text.
func (t *track) text(index int, now time.Time) {
	const choices = 128 // far beyond OpenAI's bound for n
	if index < 0 || index >= choices {
		return
	}
	for len(t.byChoice) <= index {
		t.byChoice = append(t.byChoice, time.Time{})
	}
	if t.chunks++; t.chunks == 1 {
		t.first = now
	}
	since := time.Duration(0)
	if before := t.byChoice[index]; !before.IsZero() {
		since = max(now.Sub(before), 1)
	}
	t.recorder.text(t, now, since)
	t.byChoice[index], t.latest = now, now
}

// output returns how many tokens came: what the server says, else one for each chunk.
func (t *track) output() int64 {
	if t.tokens > 0 {
		return t.tokens
	}
	return int64(t.chunks)
}

// perToken returns the mean time between tokens, 0 where fewer than two chunks came.
func (t *track) perToken() time.Duration {
	n := t.output()
	if n < 2 || t.chunks < 2 {
		return 0
	}
	return t.latest.Sub(t.first) / time.Duration(n-1)
}
