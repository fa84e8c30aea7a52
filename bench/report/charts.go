package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ingot-llm/ingot/bench/load"
	"github.com/ingot-llm/ingot/chart"
)

// series is a run with its place in the page: its colour and its full name.
type series struct {
	*Run
	name   string
	file   int
	colour int
}

// line returns the run's line, dashed where its colour is another's, too.
func (s *series) line() chart.Line {
	return chart.Line{Name: s.name, Colour: s.colour, Dashed: s.colour/chart.Colours%2 == 1}
}

// latencies are the distributions that a run has.
var latencies = []struct {
	name string
	of   func(*Run) *load.Latency
}{
	{"Time to first token", func(r *Run) *load.Latency { return &r.TimeToFirst }},
	{"Inter-token", func(r *Run) *load.Latency { return &r.InterToken }},
	{"End to end", func(r *Run) *load.Latency { return &r.EndToEnd }},
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// tradeoffs are the charts of throughput against latency: each file's runs, joined in
// the order of their load.
func tradeoffs(files []File) (out []*chart.Chart) {
	for _, of := range latencies[:2] {
		c := &chart.Chart{Title: of.name + " against throughput", X: "output tokens/s", Y: "ms"}
		for i, f := range files {
			runs := slices.SortedFunc(slices.Values(f.Runs), func(a, b Run) int {
				return cmp.Or(cmp.Compare(a.Rate, b.Rate), cmp.Compare(a.Clients, b.Clients))
			})
			for _, high := range []bool{false, true} {
				c.Lines = append(c.Lines, tradeoff(runs, i, high, of.of))
			}
		}
		c.Fit(chart.Logarithmic)
		out = append(out, c)
	}
	return out
}

// tradeoff is a file's line of the 50th or the 99th percentile.
func tradeoff(runs []Run, colour int, high bool, of func(*Run) *load.Latency) chart.Line {
	l := chart.Line{Name: "p50", Colour: colour, Dashed: !high, Dots: true}
	if high {
		l.Name = "p99"
	}
	for i := range runs {
		r := &runs[i]
		v := of(r).P50
		if high {
			v = of(r).P99
		}
		if of(r).Count > 0 {
			text := fmt.Sprintf("%s: %s tokens/s, %s %s ms", r.Name, chart.Number(r.TokensPerSecond), l.Name, chart.Number(millis(v)))
			l.Points = append(l.Points, chart.Point{X: r.TokensPerSecond, Y: millis(v), Text: text})
		}
	}
	return l
}

// percentiles are the charts of the distributions.
func percentiles(all []series) (out []*chart.Chart) {
	for _, of := range latencies {
		c := &chart.Chart{Title: of.name, X: "percentile", Y: "ms", XScale: chart.Nines()}
		for _, s := range all {
			l := s.line()
			latency := of.of(s.Run)
			for i, d := range latency.Curve {
				if i < len(load.Percentiles) && load.Percentiles[i] < 100 && latency.Count > 0 {
					l.Points = append(l.Points, chart.Point{X: load.Percentiles[i], Y: millis(max(d, time.Microsecond))})
				}
			}
			c.Lines = append(c.Lines, l)
		}
		c.Fit(chart.Logarithmic)
		out = append(out, c)
	}
	return out
}

// timelines are the charts over the seconds of a run.
func timelines(all []series) (out []*chart.Chart) {
	for _, of := range []struct {
		name, y string
		axis    chart.Axis
		value   func(s *load.Second) (float64, bool)
	}{
		{"Output", "tokens/s", chart.FromZero, func(s *load.Second) (float64, bool) { return float64(s.Tokens), true }},
		{"Requests under way", "requests", chart.FromZero, func(s *load.Second) (float64, bool) { return float64(s.InFlight), true }},
		{"Time to first token, p50 of each second", "ms", chart.Logarithmic, func(s *load.Second) (float64, bool) { return millis(s.TimeToFirst), s.TimeToFirst > 0 }},
		{"Longest gap between tokens in each second", "ms", chart.Logarithmic, func(s *load.Second) (float64, bool) { return millis(s.LongestGap), s.LongestGap > 0 }},
	} {
		c := &chart.Chart{Title: of.name, X: "seconds", Y: of.y}
		for _, s := range all {
			l := s.line()
			for i := range min(len(s.Timeline), int(s.Elapsed/time.Second)) { // whole seconds
				if y, ok := of.value(&s.Timeline[i]); ok {
					l.Points = append(l.Points, chart.Point{X: float64(i), Y: y})
				}
			}
			c.Lines = append(c.Lines, l)
		}
		c.Fit(of.axis)
		out = append(out, c)
	}
	return out
}

// maxMetrics is how many of the servers' figures are shown.
const maxMetrics = 12

// metrics are the charts of what the servers tell of themselves.
func metrics(all []series) (out []*chart.Chart) {
	byName := map[string]*chart.Chart{}
	for _, s := range all {
		for _, m := range s.Metrics {
			c := byName[m.Name]
			if c == nil {
				c = &chart.Chart{Title: m.Name, X: "seconds", Y: "value"}
				byName[m.Name] = c
			}
			l := s.line()
			for i, v := range m.Values {
				l.Points = append(l.Points, chart.Point{X: m.Seconds[i], Y: v})
			}
			c.Lines = append(c.Lines, l)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		byName[name].Fit(chart.FromZero)
		out = append(out, byName[name])
	}
	return out[:min(len(out), maxMetrics)]
}
