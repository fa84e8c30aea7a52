package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ingot-llm/ingot/bench/load"
	"github.com/ingot-llm/ingot/engine/cli"
)

// loadTest is what ingot bench serve does, checked.
type loadTest struct {
	*serveOptions
	base       string // address without /v1
	points     []loadPoint
	mix        load.Mix
	objectives []load.Objective
}

// loadPoint is the load of one run.
type loadPoint struct {
	name     string
	arrivals string // in words
	clients  int
	rate     float64
	times    load.Arrivals // nil: closed loop
}

// plan checks the flags.
func (o *serveOptions) plan() (*loadTest, error) {
	t := &loadTest{serveOptions: o}
	if err := o.checkNumbers(); err != nil {
		return nil, err
	}
	base, err := url.Parse(o.url)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, cli.Usagef("--url is %q, want a server's address such as http://127.0.0.1:8080", o.url)
	}
	t.base = strings.TrimSuffix(strings.TrimSuffix(o.url, "/"), "/v1")
	t.key = os.Getenv(o.keyEnv)
	if o.slo != "" {
		if t.objectives, err = load.ParseObjectives(o.slo); err != nil {
			return nil, cli.Usagef("--slo: %w", err)
		}
	}
	if t.mix, err = o.makeMix(); err != nil {
		return nil, err
	}
	if t.points, err = t.loads(); err != nil {
		return nil, err
	}
	if o.findMax && (len(t.objectives) == 0 || len(t.points) != 1 || t.points[0].times != nil && len(o.rates) != 1) {
		return nil, cli.Usagef("--find-max needs --slo, and searches from one --rate without other arrivals")
	}
	return t, nil
}

func (o *serveOptions) checkNumbers() error {
	share := func(v float64) bool { return v >= 0 && v <= 1 }
	switch {
	case o.duration <= 0 || o.timeout <= 0 || o.warmup < 0 || o.think < 0:
		return cli.Usagef("--duration %s and --timeout %s must be above 0, --warmup %s and --think %s not below", o.duration, o.timeout, o.warmup, o.think)
	case !share(o.longShare) || !share(o.cancel):
		return cli.Usagef("--long-share is %v and --cancel %v, want shares from 0 to 1", o.longShare, o.cancel)
	case len(o.clients) == 0 || slices.Min(o.clients) < 1 || o.inFlight < 1 || o.burst < 1 || o.turns < 1:
		return cli.Usagef("--clients is %v, --in-flight %d, --burst %d and --turns %d, want at least 1", o.clients, o.inFlight, o.burst, o.turns)
	case o.requests < 0 || o.prefixes < 0 || o.prefix < 1:
		return cli.Usagef("--requests is %d, --prefixes %d and --prefix %d, want at least 0, 0 and 1", o.requests, o.prefixes, o.prefix)
	case o.vocab != 0 && (o.vocab < 16 || !o.text || o.turns > 1):
		return cli.Usagef("--vocab is %d: token ids need --text, a vocabulary of at least 16 and single turns", o.vocab)
	case !(o.speed > 0) || !(o.temperature >= 0):
		return cli.Usagef("--speed is %v and --temperature %v, want above 0 and at least 0", o.speed, o.temperature)
	}
	return nil
}

func (o *serveOptions) makeMix() (m load.Mix, err error) {
	m = load.Mix{
		Model: o.model, Chat: !o.text, Vocab: o.vocab, LongShare: o.longShare, Prefixes: o.prefixes, PrefixTokens: o.prefix,
		Turns: o.turns, Think: o.think, IgnoreEOS: o.ignoreEOS, Temperature: o.temperature, Seed: o.seed,
	}
	for _, l := range []struct {
		flag, text string
		to         *load.Lengths
	}{{"prompt", o.prompt, &m.Prompt}, {"output", o.output, &m.Output}, {"long", o.long, &m.Long}} {
		if *l.to, err = load.ParseLengths(l.text); err != nil {
			return m, cli.Usagef("--%s: %w", l.flag, err)
		}
	}
	if o.trace == "" {
		return m, nil
	}
	file, err := os.Open(o.trace)
	if err != nil {
		return m, err
	}
	defer file.Close()
	if m.Trace, err = load.ReadTrace(file); err != nil {
		return m, fmt.Errorf("%s: %w", o.trace, err)
	}
	return m, nil
}

// loads lists the runs.
func (t *loadTest) loads() ([]loadPoint, error) {
	ways := 0
	for _, given := range []bool{len(t.rates) > 0, t.steps != "", t.ramp != "", t.trace != ""} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return nil, cli.Usagef("give one of --rate, --steps, --ramp and --trace")
	}
	switch {
	case len(t.rates) > 0:
		return t.ratePoints()
	case t.steps != "":
		return t.stepPoint()
	case t.ramp != "":
		return t.rampPoint()
	case t.trace != "":
		return []loadPoint{t.open("trace", fmt.Sprintf("trace of %d requests, %g times as fast", len(t.mix.Trace), t.speed), 0, load.Replay(t.mix.Trace, t.speed))}, nil
	}
	var out []loadPoint
	for _, n := range t.clients {
		name := fmt.Sprintf("%d clients", n)
		if n == 1 {
			name = "1 client"
		}
		out = append(out, loadPoint{name: name, arrivals: "closed loop", clients: n})
	}
	return out, nil
}

// open returns a point of the open loop.
func (t *loadTest) open(name, words string, rate float64, times load.Arrivals) loadPoint {
	return loadPoint{name: name, arrivals: words, clients: t.inFlight, rate: rate, times: times}
}

func (t *loadTest) ratePoints() (out []loadPoint, err error) {
	for _, rate := range t.rates {
		if err := checkRate("rate", rate); err != nil {
			return nil, err
		}
		out = append(out, t.ratePoint(rate))
	}
	return out, nil
}

func (t *loadTest) ratePoint(rate float64) loadPoint {
	name := strconv.FormatFloat(rate, 'g', 4, 64) + " requests/s"
	if t.burst > 1 {
		return t.open(name, fmt.Sprintf("bursts of %d", t.burst), rate, load.Bursts(rate, t.burst, t.seed))
	}
	return t.open(name, "poisson", rate, load.Poisson(rate, t.seed))
}

// checkRate bounds a rate: more than a machine can send is a slip of the pen.
func checkRate(flag string, rate float64) error {
	if !(rate > 0 && rate <= 1e6) {
		return cli.Usagef("--%s is %v, want requests a second above 0, at most 1000000", flag, rate)
	}
	return nil
}

func (t *loadTest) stepPoint() ([]loadPoint, error) {
	var steps []load.Step
	var total time.Duration
	for part := range strings.SplitSeq(t.steps, ",") {
		rate, length, _ := strings.Cut(part, ":")
		r, err := strconv.ParseFloat(rate, 64)
		if err == nil {
			err = checkRate("steps", r)
		}
		d, failed := time.ParseDuration(length)
		if err != nil || failed != nil || d <= 0 {
			return nil, cli.Usagef("--steps is %q, want RATE:TIME,... such as 1:10s,8:20s", t.steps)
		}
		steps, total = append(steps, load.Step{Rate: r, For: d}), total+d
	}
	t.warmup, t.duration = 0, total // the first step is what warms up
	return []loadPoint{t.open("steps", "poisson in steps "+t.steps, 0, load.Steps(steps, t.seed))}, nil
}

func (t *loadTest) rampPoint() ([]loadPoint, error) {
	from, to, found := strings.Cut(t.ramp, ":")
	low, err := strconv.ParseFloat(from, 64)
	high, failed := strconv.ParseFloat(to, 64)
	if !found || err != nil || failed != nil || !(low >= 0 && low <= 1e6) || checkRate("ramp", high) != nil {
		return nil, cli.Usagef("--ramp is %q, want FROM:TO in requests a second, such as 0:20", t.ramp)
	}
	t.warmup = 0
	return []loadPoint{t.open("ramp", "poisson on a ramp "+t.ramp, 0, load.Ramp(low, high, t.duration, t.seed))}, nil
}

// work says in words what the requests are.
func (t *loadTest) work() string {
	if t.trace != "" {
		return "lengths of " + t.trace
	}
	var parts []string
	say := func(when bool, format string, args ...any) {
		if when {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	say(true, "prompts %s", t.mix.Prompt)
	say(t.longShare > 0, "%g %% of them %s", 100*t.longShare, t.mix.Long)
	say(t.prefixes > 0, "%d beginnings of %d", t.prefixes, t.prefix)
	say(true, "answers %s", t.mix.Output)
	say(t.turns > 1, "%d turns", t.turns)
	say(t.cancel > 0, "%g %% cancelled", 100*t.cancel)
	say(t.vocab > 0, "token ids")
	return strings.Join(parts, ", ")
}

// title is the runs' name in reports.
func (t *loadTest) title() string { return cmp.Or(t.name, t.mix.Model, t.base) }

// askModel asks the server for its first model where none was named. A server that does
// not tell is asked without one.
func (t *loadTest) askModel(ctx context.Context) error {
	if t.mix.Model != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.base+"/v1/models", nil)
	if err != nil {
		return err
	}
	if t.key != "" {
		req.Header.Set("Authorization", "Bearer "+t.key)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("nobody answers at %s: %w", t.base, err)
	}
	defer answer.Body.Close()
	var models struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&models) == nil && len(models.Data) > 0 {
		t.mix.Model = models.Data[0].ID
	}
	return nil
}
