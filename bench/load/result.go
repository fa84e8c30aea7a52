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
	Elapsed   time.Duration `json:"elapsed_ns"` // first request to last answer
	Requests  int           `json:"requests"`
	Completed int           `json:"completed"`
	Cancelled int           `json:"cancelled"` // left by their client on purpose
	Failed    int           `json:"failed"`
	// Errors tells the failed ones by kind: "status 429", "connection", "timeout",
	// "truncated", "error in mid-stream", "not understood", "request".
	Errors map[string]Failures `json:"errors,omitempty"`
	// OutputTokens are counted by the server where it sends usage, else one for each
	// chunk with text, as for cancelled requests. PromptTokens are those of the
	// requests whose usage came.
	PromptTokens int64 `json:"prompt_tokens"`
	OutputTokens int64 `json:"output_tokens"`

	// TimeToFirst is from the time a request was meant to be sent to its first text,
	// EndToEnd that to the end of a completed answer.
	TimeToFirst Latency `json:"time_to_first_token"`
	EndToEnd    Latency `json:"end_to_end"`
	// InterToken is between two chunks with text of one choice; PerToken is a completed
	// request's mean time between tokens, which chunks of several tokens do not change.
	InterToken Latency `json:"inter_token"`
	PerToken   Latency `json:"per_token"`
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
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
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

// TokensPerSecond is the output of all clients together.
func (r *Result) TokensPerSecond() float64 { return perSecond(r.OutputTokens, r.Elapsed) }

// RequestsPerSecond counts completed requests.
func (r *Result) RequestsPerSecond() float64 { return perSecond(int64(r.Completed), r.Elapsed) }

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
