package load

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Result is what the clients saw. Requests is the sum of Completed, Cancelled and Failed.
type Result struct {
	Started   time.Time     `json:"started"`    // after the warm-up
	Elapsed   time.Duration `json:"elapsed_ns"` // from there to the last answer
	Requests  int           `json:"requests"`
	Completed int           `json:"completed"`
	Cancelled int           `json:"cancelled"` // left by their client on purpose
	Failed    int           `json:"failed"`
	Good      int           `json:"good"` // completed ones that held every objective
	// Errors tells the failed ones by kind: "status 429", "connection", "timeout",
	// "truncated", "error in mid-stream", "not understood", "request".
	Errors map[string]Failures `json:"errors,omitempty"`
	// OutputTokens are counted by the server where it sends usage, else one for each
	// chunk with text, as for cancelled requests. PromptTokens are those of the
	// requests whose usage came.
	PromptTokens int64 `json:"prompt_tokens"`
	OutputTokens int64 `json:"output_tokens"`

	// Window is what came while requests were begun, the last of Elapsed left out: as
	// answers run out a server does less than it could.
	Window Window `json:"window"`

	// TimeToFirst is from the time a request was meant to be sent to its first text,
	// EndToEnd that to the end of a completed answer.
	TimeToFirst Latency `json:"time_to_first_token"`
	EndToEnd    Latency `json:"end_to_end"`
	// InterToken is between two chunks with text of one choice; PerToken is a completed
	// request's mean time between tokens, which chunks of several tokens do not change.
	InterToken Latency `json:"inter_token"`
	PerToken   Latency `json:"per_token"`

	// Timeline is second after second from Started.
	Timeline []Second `json:"timeline,omitempty"`
}

// Window counts what came within a time, whenever it was asked for.
type Window struct {
	Length    time.Duration `json:"length_ns"`
	Completed int           `json:"completed"`
	Good      int           `json:"good"`
	Tokens    int64         `json:"tokens"`
}

// Second is what came within a second.
type Second struct {
	Completed   int           `json:"completed"`
	Failed      int           `json:"failed"`
	InFlight    int           `json:"in_flight"` // at most
	Tokens      int64         `json:"tokens"`
	TimeToFirst time.Duration `json:"ttft_ns"` // median of the answers that began
	LongestGap  time.Duration `json:"longest_gap_ns"`
}

// Failures counts the failures of a kind and gives one of them.
type Failures struct {
	Count   int    `json:"count"`
	Example string `json:"example"`
}

// Latency is a distribution, with three significant digits of microseconds.
type Latency struct {
	Count int64         `json:"count"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P95   time.Duration `json:"p95_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
	// Curve is the latencies at Percentiles.
	Curve []time.Duration `json:"curve_ns,omitempty"`
}

// at returns one of the percentiles that have a field of their own.
func (l *Latency) at(percent float64) time.Duration {
	switch percent {
	case 50:
		return l.P50
	case 90:
		return l.P90
	case 95:
		return l.P95
	case 99:
		return l.P99
	}
	return l.P999
}

// fail counts a failed request.
func (r *Result) fail(err error) {
	kind, example := "connection", err.Error()
	var f failure
	if errors.As(err, &f) {
		kind, example = f.kind, f.err.Error()
	}
	r.Failed++
	have, ok := r.Errors[kind]
	if !ok {
		have.Example = example
	}
	have.Count++
	r.Errors[kind] = have
}

// TokensPerSecond is the output of all clients together, within the window.
func (r *Result) TokensPerSecond() float64 { return perSecond(r.Window.Tokens, r.Window.Length) }

// RequestsPerSecond counts those completed within the window.
func (r *Result) RequestsPerSecond() float64 {
	return perSecond(int64(r.Window.Completed), r.Window.Length)
}

// Goodput is RequestsPerSecond of those that held every objective.
func (r *Result) Goodput() float64 { return perSecond(int64(r.Window.Good), r.Window.Length) }

func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// Text shows the result to people.
func (r *Result) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests in %s: %d completed, %d cancelled, %d failed\n",
		r.Requests, r.Elapsed.Round(time.Millisecond), r.Completed, r.Cancelled, r.Failed)
	fmt.Fprintf(&b, "%.1f requests/s, %.1f output tokens/s (%d prompt tokens, %d output tokens)\n",
		r.RequestsPerSecond(), r.TokensPerSecond(), r.PromptTokens, r.OutputTokens)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "ms\tmean\tp50\tp90\tp99\tp99.9\tmax\t\n")
	for _, row := range []struct {
		name string
		l    *Latency
	}{{"time to first token", &r.TimeToFirst}, {"inter-token", &r.InterToken}, {"per token", &r.PerToken}, {"end to end", &r.EndToEnd}} {
		fmt.Fprintf(w, "%s\t", row.name)
		for _, d := range []time.Duration{row.l.Mean, row.l.P50, row.l.P90, row.l.P99, row.l.P999, row.l.Max} {
			fmt.Fprintf(w, "%.2f\t", float64(d)/float64(time.Millisecond))
		}
		fmt.Fprint(w, "\n")
	}
	w.Flush() // to a strings.Builder, which does not fail
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(&b, "%d x %s: %s\n", r.Errors[kind].Count, kind, r.Errors[kind].Example)
	}
	return b.String()
}
