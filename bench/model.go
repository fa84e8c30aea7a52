package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/engine/model/shape"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
)

// modelOptions are the flags of ingot bench model.
type modelOptions struct {
	model, shape, mix          string
	prompt, gen, context       int
	repeat, warmup             int
	batch                      []int
	threads                    int
	table, activations, kvType string
	weights                    string
	json, profile              bool
}

func modelCommand() *cobra.Command {
	var o modelOptions
	cmd := &cobra.Command{
		Use:   "model (--model FILE | --shape NAME --type TYPE)",
		Short: "Measure prefill and decode of a model against the machine's limit",
		Long: `Measures how many tokens a second a model's forward pass computes on this machine,
without the scheduler: a prompt of one sequence (prefill), then one token at a time
for each size of batch (decode). Beside it stands the limit: what the machine's
memory and arithmetic, as measured, allow at most.

--shape makes a model with random weights in memory, so no file is needed:
` + shape.Names(shape.All()) + ".",
		Example: `  ingot bench model --shape smol-135m --type Q4_0 --prompt 512 --gen 64 --batch 1,8,16
  ingot bench model --model model.gguf --threads 2 --json
  ingot bench model --shape llama-1b --context 8192 --kv-type q8_0   # decoding a long context`,
		Args: cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "`file` or directory of a model")
	f.StringVar(&o.shape, "shape", "", "`name` of a model's shape, with random weights")
	f.StringVar(&o.mix, "type", "Q4_0", "`type` of the weights of --shape: "+strings.Join(quant.MixNames(), " "))
	f.IntVar(&o.prompt, "prompt", 512, "tokens of the prompt")
	f.IntVar(&o.gen, "gen", 64, "tokens to decode for each sequence; 0 measures the prefill alone")
	f.IntSliceVar(&o.batch, "batch", []int{1}, "sequences that decode together, a list")
	f.IntVar(&o.context, "context", 0, "tokens before the first decoded one, where more than the prompt: copies of its keys")
	f.IntVar(&o.repeat, "repeat", 3, "prefills, of which the median counts")
	f.IntVar(&o.warmup, "warmup", 1, "prefills, and decoding steps of each batch, that do not count")
	f.IntVar(&o.threads, "threads", 0, "threads (0: one for each processor)")
	f.StringVar(&o.table, "table", "auto", "kernel table: auto or one that ingot doctor lists")
	f.StringVar(&o.activations, "activations", "auto", "activations at block-quantized weights: auto, bf16 or int8")
	f.StringVar(&o.weights, "weights", string(model.PlaceAuto), model.PlacementUsage)
	f.StringVar(&o.kvType, "kv-type", "bf16", "type of the KV cache: bf16, f32 or q8_0")
	f.BoolVar(&o.profile, "profile", false, "show where the time goes, operation by operation (native tables)")
	f.BoolVar(&o.json, "json", false, "print a JSON object a line")
	return cmd
}

func (o *modelOptions) check() error {
	switch {
	case (o.model == "") == (o.shape == ""):
		return cli.Usagef("give either --model FILE or --shape NAME")
	case o.prompt < 1:
		return cli.Usagef("--prompt is %d, want at least 1", o.prompt)
	case o.gen < 0:
		return cli.Usagef("--gen is %d, want at least 0", o.gen)
	case o.context != 0 && o.context < o.prompt:
		return cli.Usagef("--context is %d, want 0 or at least the prompt's %d", o.context, o.prompt)
	case o.repeat < 1:
		return cli.Usagef("--repeat is %d, want at least 1", o.repeat)
	case o.warmup < 0:
		return cli.Usagef("--warmup is %d, want at least 0", o.warmup)
	case len(o.batch) == 0 || slices.Min(o.batch) < 1:
		return cli.Usagef("--batch is %v, want sizes of at least 1", o.batch)
	case o.threads < 0:
		return cli.Usagef("--threads is %d, want at least 0", o.threads)
	}
	return nil
}

func (o *modelOptions) run(cmd *cobra.Command) error {
	if err := o.check(); err != nil {
		return err
	}
	kv, err := kernels.ParseKVType(o.kvType)
	if err != nil {
		return cli.Usagef("--kv-type: %w", err)
	}
	lib, table, err := openTable(cmd, o.threads, o.table)
	if err != nil {
		return err
	}
	defer lib.Close()
	act, err := parseActivations(o.activations, table)
	if err != nil {
		return err
	}
	placement, err := model.ParsePlacement(o.weights)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	p := cli.NewProgress(cmd.ErrOrStderr(), "making weights", true)
	src, err := o.open(p)
	if err != nil {
		return err
	}
	defer src.Close()
	m, err := model.Load(src, model.Options{Activations: act, KV: kv, Context: o.tokens()})
	p.Done()
	if err != nil {
		return err
	}
	defer m.Program.Close()
	if placement, err = m.Place(src, placement, table, lib, readMachine("/").usable()); err != nil {
		return err
	}
	return o.measure(cmd, &setup{lib: lib, table: table, act: act, kv: kv, model: m, weights: placement})
}

// decodeFrom is how many tokens stand before the first decoded one.
func (o *modelOptions) decodeFrom() int { return max(o.prompt, o.context) }

// tokens is the most that a sequence has.
func (o *modelOptions) tokens() int { return o.decodeFrom() + o.warmup + o.gen }

// setup is what is measured, and on what.
type setup struct {
	lib     *kernels.Library
	table   *kernels.Table
	act     kernels.Activations
	kv      kernels.KVType
	model   *model.Model
	weights model.Placement
}

func parseActivations(name string, t *kernels.Table) (kernels.Activations, error) {
	switch name {
	case "auto":
		return t.Prefers(), nil
	case kernels.ActBF16.String():
		return kernels.ActBF16, nil
	case kernels.ActInt8.String():
		return kernels.ActInt8, nil
	}
	return 0, cli.Usagef("--activations is %q, want auto, bf16 or int8", name)
}

func (o *modelOptions) open(p *cli.Progress) (quant.Source, error) {
	if o.model != "" {
		return checkpoint.Open(o.model)
	}
	s, err := shape.Find(o.shape)
	if err != nil {
		return nil, cli.Usagef("--shape: %w", err)
	}
	mix, err := quant.ParseMix(o.mix)
	if err != nil {
		return nil, cli.Usagef("--type: %w", err)
	}
	r := newRandomModel(s, mix, p)
	return r, fits(r.bytes)
}

// name is what the results call the model.
func (o *modelOptions) name() string {
	if o.shape != "" {
		return o.shape
	}
	return filepath.Base(filepath.Clean(o.model))
}

// peakTime is how long each of the machine's peaks is measured.
const peakTime = 100 * time.Millisecond

// measure prints a result for the prefill and one for each batch's decode.
func (o *modelOptions) measure(cmd *cobra.Command, s *setup) error {
	peaks, err := s.lib.Measure(s.lib.Threads(), peakTime)
	if err != nil && s.lib.Err() == nil {
		return err // without the library there is no limit to show; Select has said why
	}
	gen, tokens := o.gen, o.tokens()
	if s.model.Family.Encoder || s.model.Scores {
		gen, tokens = 0, o.prompt
	}
	l, err := newStepper(s.model, s.table, slices.Max(o.batch), o.prompt, tokens)
	if err != nil {
		return err
	}
	defer l.close()
	p := cli.NewProgress(cmd.ErrOrStderr(), "measuring "+o.name(), false)
	defer p.Done()
	w := newWriter(cmd.OutOrStdout(), o.json)
	line := newRoofline(s.lib, s.model, s.table, s.act, peaks)
	report := func(r result) error {
		r.Model, r.Type, r.Table, r.Activations, r.KVType = o.name(), o.typeName(s.model), s.table.Name, s.act.String(), s.kv.String()
		r.Weights = string(s.weights)
		r.Threads, r.Prompt, r.RSS = s.lib.Threads(), o.prompt, residentBytes("/")
		return w.write(r)
	}
	if err := o.runs(cmd.Context(), l, &line, gen, p, report); err != nil {
		return err
	}
	return w.close()
}

func (o *modelOptions) typeName(m *model.Model) string {
	if o.shape != "" {
		return strings.ToUpper(o.mix)
	}
	return mainType(m.Program).String()
}

// runs measures the prefill, then each batch's decode, and reports each.
func (o *modelOptions) runs(ctx context.Context, l *stepper, line *roofline, gen int, p *cli.Progress, report func(result) error) error {
	done, total := int64(0), int64(o.warmup+o.repeat+(o.warmup+gen)*len(o.batch))
	tick := func() { done++; p.Set(done, total) }
	if err := l.step(1, 0, 1); err != nil { // brings the weights into memory
		return err
	}
	var prof *profiler
	if o.profile && l.runner.Nanos() != nil {
		prof = newProfiler(l.model.Program, l.runner)
	}
	took, err := o.prefills(ctx, l, tick)
	if err != nil {
		return err
	}
	r := result{Kind: "prefill", Batch: 1, Tokens: o.prompt, Profile: prof.take(o.warmup + o.repeat)}
	r.rate(o.prompt, took, line.tokensPerSecond(min(o.prompt, chunk), 1, o.prompt/2))
	if err := report(r); err != nil || gen == 0 {
		return err
	}
	from := o.decodeFrom()
	l.spread(slices.Max(o.batch), o.prompt, from)
	for _, n := range o.batch {
		before := line.read()
		times, err := l.decode(ctx, n, from, o.warmup+gen, tick)
		if err != nil {
			return err
		}
		line.bytesS = (before + line.read()) / 2
		r := result{Kind: "decode", Batch: n, Tokens: n * gen, Context: from, Profile: prof.take(o.warmup + gen)}
		r.rate(n, median(times[o.warmup:]), line.tokensPerSecond(n, n, from+o.warmup+gen/2))
		if err := report(r); err != nil {
			return err
		}
	}
	return nil
}

// prefills returns the median time of a prompt.
func (o *modelOptions) prefills(ctx context.Context, l *stepper, tick func()) (time.Duration, error) {
	var times []time.Duration
	for range o.warmup + o.repeat {
		t, err := l.prefill(ctx, o.prompt)
		if err != nil {
			return 0, err
		}
		times = append(times, t)
		tick()
	}
	return median(times[o.warmup:]), nil
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// fits refuses weights that take more bytes than the machine's memory.
func fits(need int64) error {
	if has := readMachine("/").usable(); has > 0 && need > has/10*9 {
		return fmt.Errorf("the weights take %s, but this process may use %s: choose a smaller --shape or --type", engine.Size(need), engine.Size(has))
	}
	return nil
}
