package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/model/shape"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/train"
	"github.com/ingot-llm/ingot/train/param"
)

// trainOptions are the flags of ingot bench train.
type trainOptions struct {
	shape, precision, table, recompute string
	typ                                string // of an adapter's base
	seq, batch, micro, steps, threads  int
	rank                               int
	json, profile                      bool
}

// trainResult is one measurement of training.
type trainResult struct {
	Model     string          `json:"model"`
	Table     string          `json:"table"`
	Precision string          `json:"precision"`
	Type      string          `json:"type,omitempty"` // of an adapter's base
	Rank      int             `json:"lora_rank,omitempty"`
	Threads   int             `json:"threads"`
	Seq       int             `json:"seq"`
	Batch     int             `json:"batch"`
	Micro     int             `json:"micro_tokens"`
	StepMS    float64         `json:"step_ms"` // median
	TokS      float64         `json:"tok_s"`
	GFLOPS    float64         `json:"gflops"`
	Peak      float64         `json:"peak_gflops"`
	MFU       float64         `json:"mfu"`
	Recompute string          `json:"recompute"`
	RSS       int64           `json:"rss_bytes"`
	Profile   []operationTime `json:"profile,omitzero"`
}

func trainCommand() *cobra.Command {
	var o trainOptions
	cmd := &cobra.Command{
		Use:   "train --shape NAME --seq T --batch B",
		Short: "Measure how fast a model trains against the machine's peak",
		Long: `Measures whole optimizer steps (forward, loss, gradient, AdamW) on random weights
and tokens, and the machine's peak in the same run. A token counts 6 operations for
each parameter in a matrix product (4 of a base that an adapter is trained over) and
12 x layers x width x T for attention. Shapes:
` + shape.Names(shape.All()) + ", " + shape.Names(shape.Presets()) + ".",
		Example: "  ingot bench train --shape llama-15m --seq 256 --batch 16\n  ingot bench train --shape gpt2-124m --seq 1024 --batch 1 --profile\n  ingot bench train --shape tinyllama-1.1b --seq 512 --batch 1 --lora-rank 16 --type Q4_K_M",
		Args:    cli.Args(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.shape, "shape", "llama-15m", "`name` of a model's shape")
	f.IntVar(&o.seq, "seq", 256, "tokens of a sequence")
	f.IntVar(&o.batch, "batch", 16, "sequences of an optimizer step")
	f.IntVar(&o.micro, "micro-tokens", 2048, "tokens of which gradients are computed at a time")
	f.IntVar(&o.steps, "steps", 3, "steps of which the median counts, after one that does not")
	f.StringVar(&o.precision, "precision", "bf16", "of products: bf16 or f32")
	f.IntVar(&o.rank, "lora-rank", 0, "train an adapter of this rank on all linear modules instead of the weights (0: the weights)")
	f.StringVar(&o.typ, "type", "BF16", "`type` of the base that an adapter is trained over: "+strings.Join(quant.MixNames(), " "))
	f.StringVar(&o.recompute, "recompute", "none", kernels.RecomputeUsage)
	f.StringVar(&o.table, "table", "auto", "kernel table: auto or one that ingot doctor lists")
	f.IntVar(&o.threads, "threads", 0, "threads (0: one for each processor)")
	f.BoolVar(&o.profile, "profile", false, "show where the time goes, operation by operation (native tables)")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return cmd
}

func (o *trainOptions) run(cmd *cobra.Command) error {
	s, err := shape.Find(o.shape)
	if err != nil {
		return cli.Usagef("--shape: %w", err)
	}
	precision, err := param.ParsePrecision(o.precision)
	if err != nil {
		return cli.Usagef("--precision: %w", err)
	}
	recompute, err := kernels.ParseRecompute(o.recompute)
	if err != nil {
		return cli.Usagef("--recompute: %w", err)
	}
	m := train.MeasureOptions{Shape: s, Seq: o.seq, Batch: o.batch, Micro: o.micro, Precision: precision, Recompute: recompute, Steps: o.steps}
	if err := m.Check(); err != nil {
		return &cli.UsageError{Err: err}
	}
	if o.rank > 0 {
		mix, err := quant.ParseMix(o.typ)
		if err != nil {
			return cli.Usagef("--type: %w", err)
		}
		base := newRandomModel(s, mix, nil)
		defer base.Close()
		m.Base, m.Rank = base, o.rank
	}
	lib, table, err := openTable(cmd, o.threads, o.table)
	if err != nil {
		return err
	}
	defer lib.Close()
	p := cli.NewProgress(cmd.ErrOrStderr(), "measuring "+o.shape, false)
	var rss int64
	got, err := train.Measure(cmd.Context(), table, m, func(done int) {
		rss = residentBytes("/")
		p.Set(int64(done), int64(o.steps))
	})
	p.Done()
	if err != nil {
		return err
	}
	r := o.result(got, lib, table, precision)
	r.RSS = rss
	return o.print(cmd.OutOrStdout(), r)
}

func (o *trainOptions) result(m train.Measurement, lib *kernels.Library, table *kernels.Table, p param.Precision) trainResult {
	r := trainResult{
		Model: o.shape, Table: table.Name, Precision: p.String(), Threads: lib.Threads(), Seq: o.seq, Batch: o.batch, Micro: max(o.micro, o.seq),
		StepMS: float64(m.Step.Microseconds()) / 1000, TokS: float64(m.Tokens) / m.Step.Seconds(),
	}
	if o.rank > 0 {
		r.Type, r.Rank = o.typ, o.rank
	}
	r.Recompute = o.recompute
	r.GFLOPS = r.TokS * m.FLOPs / 1e9
	if peaks, err := lib.Measure(lib.Threads(), peakTime); err == nil {
		r.Peak = peaks.F32 / 1e9
		if p == param.BF16 {
			r.Peak = max(peaks.F32, peaks.BF16, peaks.AMXBF16) / 1e9
		}
		r.MFU = r.GFLOPS / r.Peak
	}
	if o.profile {
		r.Profile = byOperation(m.Profile)
	}
	return r
}

// byOperation sums the times of instructions of one kind and weight, the longest first.
func byOperation(instrs []train.InstrTime) []operationTime {
	times := map[string]*operationTime{}
	total := 0.0
	for _, in := range instrs {
		name := layerPrefix.ReplaceAllString(in.Name, "")
		o := times[name]
		if o == nil {
			o = &operationTime{Operation: name}
			times[name] = o
		}
		o.Count++
		o.Micros += float64(in.Nanos) / 1000
		total += float64(in.Nanos) / 1000
	}
	var out []operationTime
	for _, o := range times {
		o.Share = o.Micros / total
		out = append(out, *o)
	}
	slices.SortFunc(out, longestFirst)
	return out
}

func (o *trainOptions) print(out io.Writer, r trainResult) error {
	if o.json {
		return json.NewEncoder(out).Encode(r)
	}
	what := r.Precision
	if r.Rank > 0 {
		what = fmt.Sprintf("adapter of rank %d over %s", r.Rank, r.Type)
	}
	fmt.Fprintf(out, "%s, table %s, %s, %d threads, %d sequences of %d tokens, gradients of %d at a time\n", r.Model, r.Table, what, r.Threads, r.Batch, r.Seq, r.Micro)
	fmt.Fprintf(out, "%.0f tok/s, %.0f of %.0f GFLOP/s (%.0f %%), %s resident\n", r.TokS, r.GFLOPS, r.Peak, 100*r.MFU, engine.Size(r.RSS))
	if len(r.Profile) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\na step's operations\tcount\tms\tshare\t\n")
	for _, t := range r.Profile {
		fmt.Fprintf(w, "%s\t%d\t%.3f\t%.1f %%\t\n", t.Operation, t.Count, t.Micros/1000, 100*t.Share)
	}
	return w.Flush()
}
