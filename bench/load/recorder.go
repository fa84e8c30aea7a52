package load

import (
	"errors"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// recorder gathers what all clients see.
type recorder struct {
	mu                                       sync.Mutex
	timeToFirst, interToken, perToken, total *hdrhistogram.Histogram // microseconds
	sum                                      Result
}

func newRecorder() *recorder {
	return &recorder{timeToFirst: histogram(), interToken: histogram(), perToken: histogram(), total: histogram(),
		sum: Result{Errors: map[string]Failures{}}}
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

// track follows one request.
type track struct {
	recorder      *recorder
	due           time.Time // when it was meant to be sent
	leaveAt       int       // chunks of text; -1: never
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
		if choice := &c.Choices[i]; choice.hasOutput() {
			t.text(choice.Index, now)
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
	if before := t.byChoice[index]; !before.IsZero() {
		t.recorder.gap(now.Sub(before))
	}
	t.byChoice[index], t.latest = now, now
}

// output returns how many tokens came: what the server says, else one for each chunk.
func (t *track) output() int64 {
	if t.tokens > 0 {
		return t.tokens
	}
	return int64(t.chunks)
}

// gap records the time between two pieces of a choice's text.
func (r *recorder) gap(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	record(r.interToken, d)
}

// end records how a request ended.
func (r *recorder) end(t *track, err error) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Requests++
	r.sum.PromptTokens += t.prompt
	r.sum.OutputTokens += t.output()
	if t.chunks > 0 {
		record(r.timeToFirst, t.first.Sub(t.due))
	}
	switch {
	case err == nil:
		r.sum.Completed++
		record(r.total, now.Sub(t.due))
		if n := t.output(); n > 1 && t.chunks > 1 {
			record(r.perToken, t.latest.Sub(t.first)/time.Duration(n-1))
		}
	case errors.Is(err, errLeft):
		r.sum.Cancelled++
	default:
		r.sum.fail(err)
	}
}

func (r *recorder) result(took time.Duration) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sum
	s.Elapsed = took
	s.TimeToFirst, s.InterToken = summarize(r.timeToFirst), summarize(r.interToken)
	s.PerToken, s.EndToEnd = summarize(r.perToken), summarize(r.total)
	return s
}

func summarize(h *hdrhistogram.Histogram) Latency {
	at := func(percent float64) time.Duration {
		return time.Duration(h.ValueAtPercentile(percent)) * time.Microsecond
	}
	return Latency{Count: h.TotalCount(), Mean: time.Duration(h.Mean() * float64(time.Microsecond)),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: time.Duration(h.Max()) * time.Microsecond}
}
