package bench

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// kernelOptions are the flags of ingot bench kernels.
type kernelOptions struct {
	ops, types, shapes, tables []string
	rows                       []int
	context, threads, millis   int
	activations                string
	json                       bool
}

func kernelsCommand() *cobra.Command {
	var o kernelOptions
	cmd := &cobra.Command{
		Use:   "kernels",
		Short: "Measure every operation on every type against the machine's limit",
		Long: `Measures the operations that models are made of, one at a time: for each type of
weights or of KV cache, each shape (outputs x inputs) and number of rows, on one
kernel table or several side by side.

The share is that of the roofline: the time that memory and arithmetic, as measured
here, need at least, of the time that it took. Weights and KV caches are read from
memory, not from a cache, as a model's are. Activations stay in the caches, so an
operation on them alone has no share. Attention of more sequences than have room in
2 GiB of cache is left out.

Operations: ` + operationNames() + ".",
		Example: `  ingot bench kernels --op linear --type Q4_0,Q8_0 --shape 2048x2048 --rows 1,8
  ingot bench kernels --op linear,attention --table avx512_bf16,avx2 --json`,
		Args: cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.ops, "op", []string{"all"}, "operations, a list, or all")
	f.StringSliceVar(&o.types, "type", []string{"F32", "BF16", "Q4_0", "Q4_K", "Q6_K", "Q8_0"}, "types of weights and of caches, a list, or all")
	f.StringSliceVar(&o.shapes, "shape", []string{"2048x2048", "8192x2048", "2048x8192"}, "outputs x inputs, a list")
	f.IntSliceVar(&o.rows, "rows", []int{1, 8, 32, 512}, "rows of activations, a list")
	f.IntVar(&o.context, "context", 1024, "keys that a row of attention sees")
	f.StringSliceVar(&o.tables, "table", []string{"auto"}, "kernel tables, a list: auto, all, or those that ingot doctor lists")
	f.StringVar(&o.activations, "activations", "auto", "activations at block-quantized weights: auto, bf16 or int8")
	f.IntVar(&o.threads, "threads", 0, "threads (0: one for each processor)")
	f.IntVar(&o.millis, "millis", 100, "time for each figure in `milliseconds`")
	f.BoolVar(&o.json, "json", false, "print a JSON object a line")
	return cmd
}

// kernelBench is what is measured, and on what.
type kernelBench struct {
	*kernelOptions
	lib    *kernels.Library
	tables []*kernels.Table
	peaks  kernels.Peaks
	shapes [][2]int // outputs, inputs
	ops    []operation
	types  []quant.DType
}

func (o *kernelOptions) run(cmd *cobra.Command) error {
	k, err := o.parse()
	if err != nil {
		return err
	}
	k.lib = kernels.Open(o.threads, kernels.Options{})
	defer k.lib.Close()
	if err := k.selectTables(warnings(cmd)); err != nil {
		return err
	}
	if k.peaks, err = k.lib.Measure(k.lib.Threads(), peakTime); err != nil && k.lib.Err() == nil {
		return err
	}
	p := cli.NewProgress(cmd.ErrOrStderr(), "measuring kernels", false)
	defer p.Done()
	w := &kernelWriter{out: cmd.OutOrStdout(), json: o.json, tables: len(k.tables)}
	return k.measure(cmd.Context(), p, w)
}

func (o *kernelOptions) parse() (*kernelBench, error) {
	k := &kernelBench{kernelOptions: o}
	switch {
	case len(o.rows) == 0 || slices.Min(o.rows) < 1:
		return nil, cli.Usagef("--rows is %v, want numbers of at least 1", o.rows)
	case o.context < 1:
		return nil, cli.Usagef("--context is %d, want at least 1", o.context)
	case o.threads < 0 || o.millis < 1:
		return nil, cli.Usagef("--threads is %d and --millis %d, want at least 0 and at least 1", o.threads, o.millis)
	}
	for _, s := range o.shapes {
		shape, err := parseShape(s)
		if err != nil {
			return nil, err
		}
		k.shapes = append(k.shapes, shape)
	}
	var err error
	if k.ops, err = findOperations(o.ops); err != nil {
		return nil, err
	}
	k.types, err = parseTypes(o.types)
	return k, err
}

// parseShape reads "2048x8192". Inputs are whole blocks of every type and whole heads.
func parseShape(s string) (shape [2]int, err error) {
	outs, ins, found := strings.Cut(s, "x")
	shape[0], err = strconv.Atoi(outs)
	ok := found && err == nil
	shape[1], err = strconv.Atoi(ins)
	const most = 1 << 20
	if !ok || err != nil || shape[0] < 8 || shape[1] < 256 || shape[0] > most || shape[1] > most || shape[0]%8 != 0 || shape[1]%256 != 0 {
		return shape, cli.Usagef("--shape is %q, want outputs x inputs in multiples of 8 and 256, such as 2048x8192", s)
	}
	return shape, nil
}

// parseTypes returns the types that names list; "all" are those that products take.
func parseTypes(names []string) ([]quant.DType, error) {
	var out []quant.DType
	for _, name := range names {
		if name == "all" {
			return productTypes(), nil
		}
		d, err := quant.ParseDType(strings.ToUpper(name))
		if err == nil && !slices.Contains(productTypes(), d) {
			err = fmt.Errorf("there are no weights of type %v", d)
		}
		if err != nil {
			return nil, cli.Usagef("--type: %w", err)
		}
		out = append(out, d)
	}
	return out, nil
}

// productTypes lists the types of weights that products read as they lie.
func productTypes() (out []quant.DType) {
	for d := range quant.NVFP4 {
		if d == quant.F32 || d == quant.F16 || d == quant.BF16 || quant.HasIntForm(d) {
			out = append(out, d)
		}
	}
	return out
}

func (k *kernelBench) selectTables(log *slog.Logger) error {
	names := k.kernelOptions.tables
	if slices.Contains(names, "all") {
		names = nil
		for _, t := range k.lib.Tables() {
			names = append(names, t.Name)
		}
	}
	for _, name := range names {
		t, err := k.lib.Select(name, log)
		if err != nil {
			return cli.Usagef("--table: %w", err)
		}
		if _, err := parseActivations(k.activations, t); err != nil {
			return err
		}
		k.tables = append(k.tables, t)
	}
	return nil
}

// measure runs every case and reports it as it is done.
func (k *kernelBench) measure(ctx context.Context, p *cli.Progress, w *kernelWriter) error {
	cases := k.cases()
	var weights kernelWeights
	defer weights.free()
	for i, c := range cases {
		if err := ctx.Err(); err != nil {
			return err
		}
		results, err := k.measureCase(c, &weights)
		if err != nil {
			return fmt.Errorf("%s of %s, %s: %w", c.op.name, c.typeName(), c.shapeText(), err)
		}
		if err := w.write(results); err != nil {
			return err
		}
		p.Set(int64(i+1), int64(len(cases)))
	}
	return w.close()
}

// cases lists what is to be measured, those that share weights one after another.
func (k *kernelBench) cases() (out []*kernelCase) {
	for _, op := range k.ops {
		for _, t := range op.typesOf(k.types) {
			seen := map[[2]int]bool{}
			for _, shape := range k.shapes {
				if !op.outs {
					shape[0] = 0
				}
				if seen[shape] {
					continue
				}
				seen[shape] = true
				for _, rows := range k.rows {
					c := &kernelCase{op: op, dtype: t, outs: shape[0], cols: shape[1], rows: rows, context: max(k.context, rows)}
					if !op.reads {
						c.context = kernels.BlockTokens // the rows' own
					}
					if c.cacheNeed() <= maxCache {
						out = append(out, c)
					}
				}
			}
		}
	}
	return out
}

// measureCase measures c on every table, in turns so that what else the machine does
// meets all of them.
func (k *kernelBench) measureCase(c *kernelCase, weights *kernelWeights) ([]kernelResult, error) {
	var runs []*kernelRun
	defer func() {
		for _, r := range runs {
			r.close()
		}
	}()
	for _, t := range k.tables {
		r, err := newKernelRun(c, t, k.activations, weights)
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	end := time.Now().Add(time.Duration(k.millis*len(runs)) * time.Millisecond)
	for i := 0; i < 3 || time.Now().Before(end); i++ {
		for _, r := range runs {
			if err := r.run(); err != nil {
				return nil, err
			}
		}
	}
	var out []kernelResult
	for _, r := range runs {
		out = append(out, r.result(k.lib.Threads(), k.peaks))
	}
	return out, nil
}
