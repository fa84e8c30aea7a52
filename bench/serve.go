package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/bench/report"
	"github.com/ingot-llm/ingot/engine/cli"
)

// serveOptions are the flags of ingot bench serve.
type serveOptions struct {
	url, key, keyEnv, model, name string

	clients                   []int
	rates                     []float64
	burst                     int
	steps, ramp, trace        string
	speed                     float64
	duration, warmup, timeout time.Duration
	requests, inFlight        int

	prompt, output, long string
	longShare, cancel    float64
	prefixes, prefix     int
	turns                int
	think                time.Duration
	text                 bool
	vocab                int
	ignoreEOS            bool
	temperature          float64
	seed                 uint64

	slo        string
	findMax    bool
	metricsURL string
	json       bool
	out, html  string
}

func serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve --url URL",
		Short: "Measure any OpenAI-compatible server under load",
		Long: `Sends streaming requests to an OpenAI-compatible server and measures what its clients
see: time to first token, time between tokens, whole answers, tokens a second, errors.
Every latency counts from the time at which a request was meant to be sent, so that a
server that falls behind cannot hide it.

Closed loop (the default): --clients N that ask again when answered; several numbers
measure one after another. Open loop: --rate R requests a second on average, whatever
the server does; with --burst N in groups, --steps or --ramp with changing rates, or
--trace FILE with the arrivals and lengths of a trace (JSON lines with timestamp in ms,
input_length, output_length and, for shared beginnings, hash_ids).

Lengths in tokens are 128, uniform:16,512 or lognormal:MEDIAN,SIGMA,MAX. Prompts are
short words, about a token each; with --vocab N token ids, of exact length.

--find-max doubles the rate until an objective of --slo does not hold, then halves the
distance to the highest rate at which all do.`,
		Example: `  ingot bench serve --url http://127.0.0.1:8080 --clients 1,4,16 --duration 30s --html report.html
  ingot bench serve --url http://127.0.0.1:8080 --rate 4 --prompt lognormal:200,0.8,2048 --output uniform:16,128
  ingot bench serve --url http://127.0.0.1:8080 --find-max --slo ttft_p99=500ms,itl_p99=100ms
  ingot bench serve --url http://127.0.0.1:8080 --clients 8 --turns 4 --prefixes 2 --prefix 256 --json`,
		Args: cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.flags(cmd)
	return cmd
}

func (o *serveOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "the server's `address`, with or without /v1")
	f.StringVar(&o.keyEnv, "key-env", "OPENAI_API_KEY", "environment `variable` with the API key, if it is set")
	f.StringVar(&o.model, "model", "", "`name` of the model (the server's first)")
	f.StringVar(&o.name, "name", "", "`name` of the runs in reports (what the load is)")

	f.IntSliceVar(&o.clients, "clients", []int{8}, "closed loop: clients at a time, a list")
	f.Float64SliceVar(&o.rates, "rate", nil, "open loop: requests a second, or with --turns conversations, a list")
	f.IntVar(&o.burst, "burst", 1, "requests that arrive at once, with --rate")
	f.StringVar(&o.steps, "steps", "", "open loop: `RATE:TIME,...`, such as 1:10s,8:20s")
	f.StringVar(&o.ramp, "ramp", "", "open loop: `FROM:TO`, requests a second over the duration")
	f.StringVar(&o.trace, "trace", "", "open loop: `file` of a trace to replay")
	f.Float64Var(&o.speed, "speed", 1, "times as fast as the trace")
	f.DurationVar(&o.duration, "duration", 30*time.Second, "how long requests are begun, in each run")
	f.DurationVar(&o.warmup, "warmup", 2*time.Second, "how long before that, not counted")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "of one request")
	f.IntVar(&o.requests, "requests", 0, "at most so many in a run (0: as many as fit)")
	f.IntVar(&o.inFlight, "in-flight", 1024, "open loop: at most so many at once; others wait, and their latency counts it")

	f.StringVar(&o.prompt, "prompt", "uniform:16,256", "lengths of prompts")
	f.StringVar(&o.output, "output", "uniform:16,128", "lengths of answers")
	f.Float64Var(&o.longShare, "long-share", 0, "share of prompts, 0 to 1, with lengths of --long")
	f.StringVar(&o.long, "long", "2048", "lengths of long prompts")
	f.IntVar(&o.prefixes, "prefixes", 0, "how many beginnings the prompts share")
	f.IntVar(&o.prefix, "prefix", 128, "tokens of a shared beginning")
	f.IntVar(&o.turns, "turns", 1, "requests of a conversation, each with what was said before")
	f.DurationVar(&o.think, "think", 0, "time from an answer to the conversation's next request")
	f.Float64Var(&o.cancel, "cancel", 0, "share of clients, 0 to 1, that leave within the first half of the answer")
	f.BoolVar(&o.text, "text", false, "ask /v1/completions, not /v1/chat/completions")
	f.IntVar(&o.vocab, "vocab", 0, "prompts of token ids below this, for /v1/completions")
	f.BoolVar(&o.ignoreEOS, "ignore-eos", false, "ask for answers of the full length, where the server knows ignore_eos")
	f.Float64Var(&o.temperature, "temperature", 0, "of sampling")
	f.Uint64Var(&o.seed, "seed", 1, "of arrivals, lengths and prompts")

	f.StringVar(&o.slo, "slo", "", "`objectives`, such as ttft_p99=500ms,itl_p99=100ms; also tpot and e2e, p50 to p999")
	f.BoolVar(&o.findMax, "find-max", false, "search the highest rate at which --slo holds")
	f.StringVar(&o.metricsURL, "metrics-url", "", "`address` of the server's Prometheus metrics (URL/metrics); none: off")
	f.BoolVar(&o.json, "json", false, "print a JSON object a run")
	f.StringVar(&o.out, "out", "", "also write the JSON lines to a `file`, for ingot bench report")
	f.StringVar(&o.html, "html", "", "write a report to a `file`")
}

func (o *serveOptions) run(cmd *cobra.Command) error {
	t, err := o.plan()
	if err != nil {
		return err
	}
	if err := t.askModel(cmd.Context()); err != nil {
		return err
	}
	if err := t.probe(cmd.Context()); err != nil {
		return err
	}
	out := &runWriter{out: cmd.OutOrStdout(), json: o.json}
	if o.out != "" {
		file, err := os.Create(o.out)
		if err != nil {
			return err
		}
		defer file.Close()
		out.file = file
	}
	err = t.runs(cmd.Context(), cmd.ErrOrStderr(), out)
	if o.html != "" && len(out.runs) > 0 {
		if failed := writeReport(o.html, []report.File{{Name: t.title(), Runs: out.runs}}); failed != nil {
			return failed
		}
	}
	return err
}

// runWriter prints runs as they end and keeps them for the report.
type runWriter struct {
	out  io.Writer
	json bool
	file io.Writer // or nil
	runs []report.Run
}

func (w *runWriter) write(r report.Run) error {
	w.runs = append(w.runs, r)
	if w.file != nil {
		if err := json.NewEncoder(w.file).Encode(r); err != nil {
			return err
		}
	}
	if w.json {
		return json.NewEncoder(w.out).Encode(r)
	}
	text := r.Text()
	if r.Objectives != "" {
		text += fmt.Sprintf("%.2f requests/s held %s\n", r.Goodput, r.Objectives)
	}
	_, err := fmt.Fprintf(w.out, "%s\n%s\n", r.Name, text)
	return err
}

// runs makes every run that was asked for.
func (t *loadTest) runs(ctx context.Context, stderr io.Writer, out *runWriter) error {
	if t.findMax {
		return t.search(ctx, stderr, out)
	}
	for _, p := range t.points {
		r, err := t.run(ctx, stderr, p)
		if err != nil {
			return err
		}
		if err := out.write(r); err != nil {
			return err
		}
	}
	return nil
}
