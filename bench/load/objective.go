package load

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Objective is a bound on a latency: what a service promises.
type Objective struct {
	Metric     string  // "ttft", "itl", "tpot" or "e2e"
	Percentile float64 // of all requests' that must hold it: 50, 90, 95, 99 or 99.9
	Bound      time.Duration
}

// percentileNames are the suffixes of objectives. Without one it is the 99th.
var percentileNames = map[string]float64{"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9}

// ParseObjectives reads "ttft_p99=500ms,itl_p99=100ms". Metrics are ttft (time to first
// token), itl (between two tokens), tpot (a request's mean time between tokens) and e2e.
func ParseObjectives(text string) ([]Objective, error) {
	var out []Objective
	for part := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		metric, suffix, named := strings.Cut(name, "_")
		o := Objective{Metric: metric, Percentile: 99}
		if named {
			o.Percentile = percentileNames[suffix]
		}
		bound, err := time.ParseDuration(value)
		o.Bound = bound
		if !found || err != nil || bound <= 0 || o.Percentile == 0 || !o.known() {
			return nil, fmt.Errorf("objective %q is not like ttft_p99=500ms: metrics are ttft, itl, tpot and e2e, percentiles p50, p90, p95, p99 and p999", part)
		}
		out = append(out, o)
	}
	return out, nil
}

func (o Objective) known() bool {
	var r Result
	return r.latency(o.Metric) != nil
}

// String returns what ParseObjectives reads.
func (o Objective) String() string {
	return fmt.Sprintf("%s_p%s=%s", o.Metric, strings.Replace(strconv.FormatFloat(o.Percentile, 'f', -1, 64), ".", "", 1), o.Bound)
}

// Met reports whether the result holds the objective; one without such latencies does
// not.
func (o Objective) Met(r *Result) bool {
	l := r.latency(o.Metric)
	return l.Count > 0 && l.at(o.Percentile) <= o.Bound
}

// latency returns the distribution of a metric, nil for an unknown one.
func (r *Result) latency(metric string) *Latency {
	switch metric {
	case "ttft":
		return &r.TimeToFirst
	case "itl":
		return &r.InterToken
	case "tpot":
		return &r.PerToken
	case "e2e":
		return &r.EndToEnd
	}
	return nil
}

// good reports whether a completed request held every objective, as one request can: of
// the times between its tokens the mean counts.
func (t *track) good(objectives []Objective, end time.Time) bool {
	for _, o := range objectives {
		took := map[string]time.Duration{"ttft": t.first.Sub(t.due), "itl": t.perToken(), "tpot": t.perToken(), "e2e": end.Sub(t.due)}[o.Metric]
		if t.chunks == 0 || took > o.Bound {
			return false
		}
	}
	return true
}
