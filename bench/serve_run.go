package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ingot-llm/ingot/bench/load"
	"github.com/ingot-llm/ingot/bench/report"
	"github.com/ingot-llm/ingot/engine/cli"
)

// run makes one run, with the server's metrics beside.
func (t *loadTest) run(ctx context.Context, stderr io.Writer, p loadPoint) (report.Run, error) {
	watch := newWatcher(stderr, p.name)
	cfg := load.Config{
		URL: t.base, Key: t.key, Clients: p.clients, Arrivals: p.times, WarmUp: t.warmup, Duration: t.duration, Requests: t.requests,
		Timeout: t.timeout, Cancel: t.cancel, Seed: t.seed, Objectives: t.objectives, Next: t.mix.Request, Watch: watch.show,
	}
	scraping, stop := context.WithCancel(ctx)
	defer stop()
	var samples []load.Sample
	var beside sync.WaitGroup
	if t.metricsURL != "none" {
		url := t.metricsURL
		if url == "" {
			url = t.base + "/metrics"
		}
		beside.Go(func() { samples, _ = load.Scrape(scraping, url, t.key, time.Second) }) // a server without metrics shows none
	}
	result, err := load.Run(ctx, cfg)
	stop()
	beside.Wait()
	watch.done()
	if err != nil {
		return report.Run{}, err
	}
	return t.describe(p, result, samples), nil
}

// probe sends one request, so that a mistake shows at once.
func (t *loadTest) probe(ctx context.Context) error {
	r, err := load.Run(ctx, load.Config{URL: t.base, Key: t.key, Clients: 1, Requests: 1, Duration: t.timeout, Timeout: t.timeout,
		Next: func(n int) load.Request {
			first := t.mix.Request(n)
			first.Then = nil
			return first
		}})
	for kind, f := range r.Errors {
		hint := ""
		if !t.text {
			hint = " (--text asks for a text completion in place of a chat)"
		}
		return fmt.Errorf("%s does not answer the first request: %s: %s%s", t.base, kind, f.Example, hint)
	}
	return err
}

// describe makes the line of a run.
func (t *loadTest) describe(p loadPoint, result load.Result, samples []load.Sample) report.Run {
	r := report.Run{
		Name: p.name, URL: t.base, Model: t.mix.Model, Arrivals: p.arrivals, Clients: p.clients, Rate: p.rate, Work: t.work(), Result: result,
		RequestsPerSecond: result.RequestsPerSecond(), TokensPerSecond: result.TokensPerSecond(), Goodput: result.Goodput(),
		Metrics: metricsOf(samples, result.Started),
	}
	if t.name != "" {
		r.Name = t.name + ", " + p.name
	}
	if len(t.objectives) == 0 {
		r.Good, r.Goodput = 0, 0
		return r
	}
	met := t.met(&result)
	r.Met = &met
	var names []string
	for _, o := range t.objectives {
		names = append(names, o.String())
	}
	r.Objectives = strings.Join(names, ", ")
	return r
}

// met reports whether every objective holds and next to nothing fails.
func (t *loadTest) met(r *load.Result) bool {
	for _, o := range t.objectives {
		if !o.Met(r) {
			return false
		}
	}
	return r.Failed*100 <= r.Requests
}

// maxSeries bounds how many of a server's metrics a run keeps.
const maxSeries = 64

// metricsOf returns the metrics that changed, those that only grow as what they grow by
// in a second.
func metricsOf(samples []load.Sample, start time.Time) (out []report.Metric) {
	names := map[string]bool{}
	for i := 1; i < len(samples); i++ {
		for name, v := range samples[i].Values {
			if before, ok := samples[i-1].Values[name]; ok && before != v && telling(name) {
				names[name] = true
			}
		}
	}
	same := map[string]int{}
	for name := range names {
		same[bareName(name)]++
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if len(out) == maxSeries {
			break
		}
		m := metricOf(samples, start, name)
		if same[bareName(name)] == 1 {
			m.Name = bareName(name) // its labels tell nothing
		}
		if grows(name) {
			m.Name += " a second"
		}
		out = append(out, m)
	}
	return out
}

// bareName returns a metric's name without its labels.
func bareName(name string) string {
	bare, _, _ := strings.Cut(name, "{")
	return bare
}

// grows reports whether a metric is a counter, by its name.
func grows(name string) bool { return strings.HasSuffix(bareName(name), "_total") }

// telling leaves out the parts of histograms and what the server's runtime and its HTTP
// library say.
func telling(name string) bool {
	bare := bareName(name)
	for _, end := range []string{"_bucket", "_sum", "_count", "_created"} {
		if strings.HasSuffix(bare, end) {
			return false
		}
	}
	for _, begin := range []string{"go_", "promhttp_", "python_", "process_start", "process_virtual", "process_open", "process_network", "http_"} {
		if strings.HasPrefix(bare, begin) {
			return false
		}
	}
	return true
}

func metricOf(samples []load.Sample, start time.Time, name string) report.Metric {
	m := report.Metric{Name: name}
	for i, s := range samples {
		v, ok := s.Values[name]
		if !ok || s.At.Before(start) || grows(name) && i == 0 {
			continue
		}
		if grows(name) {
			v = (v - samples[i-1].Values[name]) / s.At.Sub(samples[i-1].At).Seconds()
		}
		m.Seconds, m.Values = append(m.Seconds, s.At.Sub(start).Seconds()), append(m.Values, max(v, 0))
	}
	return m
}

// watcher shows how a run goes: a line that changes on a terminal, elsewhere a log line
// now and then.
type watcher struct {
	out  io.Writer
	name string
	tty  bool
	log  *slog.Logger
	next time.Duration
}

// logPeriod is how often a log tells how a run goes.
const logPeriod = 10 * time.Second

func newWatcher(out io.Writer, name string) *watcher {
	return &watcher{out: out, name: name, tty: cli.IsTerminal(out), log: cli.Logger(out), next: logPeriod}
}

func (w *watcher) show(s load.Status) {
	if w.tty {
		fmt.Fprintf(w.out, "\r\x1b[K%s: %4.0f s, %d under way, %d done, %d failed, %d tokens/s, first token %s",
			w.name, s.Elapsed.Seconds(), s.InFlight, s.Completed, s.Failed, s.Second.Tokens, s.Second.TimeToFirst.Round(time.Millisecond))
		return
	}
	if s.Elapsed < w.next {
		return
	}
	w.next += logPeriod
	w.log.Info("load test", "run", w.name, "elapsed", s.Elapsed.Round(time.Second), "under_way", s.InFlight, "done", s.Completed,
		"failed", s.Failed, "tok_s", s.Second.Tokens, "first_token", s.Second.TimeToFirst.Round(time.Millisecond))
}

// done takes the line away.
func (w *watcher) done() {
	if w.tty {
		fmt.Fprint(w.out, "\r\x1b[K")
	}
}
