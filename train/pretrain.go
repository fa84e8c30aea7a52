package train

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/model/shape"
	"github.com/ingot-llm/ingot/engine/settings"
	"github.com/ingot-llm/ingot/train/loader"
	"github.com/ingot-llm/ingot/train/optim"
	"github.com/ingot-llm/ingot/train/param"
	"github.com/ingot-llm/ingot/train/shard"
)

// pretrainOptions are the flags of train pretrain.
type pretrainOptions struct {
	preset, tokenizer, out, config string
	data                           []string
	precision, table               string
	threads                        int
	context, batchTokens, micro    int
	steps                          int
	epochs                         float64
	rate, decay, clip              float64
	beta1, beta2                   float64
	schedule                       optim.Schedule
	seed                           uint64
	recompute                      string
	balance                        float64
	evalEvery, validTokens         int
	prompt                         string
	saveEvery                      int
	resume                         string
	onlyEstimate                   bool
}

func pretrainCommand() *cobra.Command {
	var o pretrainOptions
	cmd := &cobra.Command{
		Use:   "pretrain --preset NAME --tokenizer DIR --data DIR --out DIR",
		Short: "Train a model from random weights",
		Long: `Trains a model from random weights on token shards (ingot train data). --preset is
a size made for training on a few cores, ` + shape.Names(shape.Presets()) + `, or a published model's,
` + shape.Names(shape.All()) + `.
--data is a folder of train data or a shard; several are mixed by weight: DIR=3.

OUT/checkpoints gets the state every --save-every steps, and when the run is
interrupted (Ctrl-C): the same command goes on from there, bit for bit.
OUT/log.jsonl gets a line a step. OUT/model is, at the end, a Hugging Face model
directory that ingot serve and transformers load. Every flag is also a setting of the
YAML file --config and an environment variable INGOT_NAME.`,
		Example: `  ingot train pretrain --preset nano --tokenizer tok/ --data data/ --out run/
  ingot train pretrain --preset small --tokenizer tok/ --data books/=3 --data news/ --out run/ --steps 2000
  ingot serve --model run/model`,
		Args: cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := settings.Resolve(cmd.Flags(), os.LookupEnv, o.config); err != nil {
				return &cli.UsageError{Err: err}
			}
			if err := o.check(); err != nil {
				return err
			}
			return pretrain(cmd, o)
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *pretrainOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "YAML `file` with settings")
	f.StringVar(&o.preset, "preset", "nano", "`name` of the model's size")
	f.StringVar(&o.tokenizer, "tokenizer", "", "`directory` or model with the tokenizer")
	f.StringSliceVar(&o.data, "data", nil, "`folder` of token shards, with =weight if it is one of several")
	f.StringVar(&o.out, "out", "", "`folder` for the run")
	f.StringVar(&o.precision, "precision", "bf16", "of products: bf16 or f32; masters and sums are always f32")
	f.StringVar(&o.table, "table", "auto", "kernel `table`")
	f.IntVar(&o.threads, "threads", 0, "of the kernels (0: one for each processor)")
	f.IntVar(&o.context, "context", 0, "tokens of a sequence (0: the preset's)")
	f.IntVar(&o.batchTokens, "batch-tokens", 16384, "tokens of an optimizer step")
	f.IntVar(&o.micro, "micro-tokens", 2048, "tokens of which gradients are computed at a time; memory grows with it")
	f.IntVar(&o.steps, "steps", 0, "optimizer steps (0: as many as --epochs takes)")
	f.Float64Var(&o.epochs, "epochs", 1, "times that the data are gone through")
	f.Float64Var(&o.rate, "lr", 3e-3, "peak of the learning rate")
	f.Float64Var(&o.decay, "weight-decay", 0.1, "of matrices")
	f.Float64Var(&o.clip, "clip", 1, "largest norm of the gradient (0: any)")
	f.Float64Var(&o.beta1, "beta1", 0.9, "AdamW's beta1")
	f.Float64Var(&o.beta2, "beta2", 0.95, "AdamW's beta2")
	f.StringVar(&o.schedule.Kind, "schedule", "wsd", "of the learning rate: "+strings.Join(optim.Kinds, ", "))
	f.IntVar(&o.schedule.Warmup, "warmup", 50, "steps in which the rate rises from 0")
	f.Float64Var(&o.schedule.Decay, "decay", 0.4, "wsd: share of the run in which the rate falls")
	f.Float64Var(&o.schedule.Floor, "floor", 0, "share of the peak that the rate falls to")
	f.Uint64Var(&o.seed, "seed", 1, "of the weights and of the order of documents")
	f.StringVar(&o.recompute, "recompute", "none", "none, or block: keep a layer's input only and compute it again, for less memory")
	f.Float64Var(&o.balance, "balance-loss", 0.01, "weight of the experts' balancing loss")
	f.IntVar(&o.evalEvery, "eval-every", 200, "steps between validations and samples (0: at the end only)")
	f.IntVar(&o.validTokens, "valid-tokens", 65536, "tokens of a validation")
	f.StringVar(&o.prompt, "prompt", "Once upon a time", "`text` that samples go on from")
	f.IntVar(&o.saveEvery, "save-every", 100, "steps between checkpoints (0: at the end only)")
	f.StringVar(&o.resume, "resume", "auto", "auto: go on from the newest checkpoint in OUT; never: begin anew")
	f.BoolVar(&o.onlyEstimate, "estimate", false, "print parameters, memory and time, and do not train")
}

func (o *pretrainOptions) check() error {
	switch {
	case o.tokenizer == "" || len(o.data) == 0 || o.out == "":
		return cli.Usagef("train pretrain needs --tokenizer, --data and --out")
	case o.batchTokens < 1 || o.micro < 2 || o.context < 0 || o.steps < 0 || !(o.epochs > 0):
		return cli.Usagef("--batch-tokens is %d, --micro-tokens %d, --context %d, --steps %d and --epochs %g: want numbers above 0", o.batchTokens, o.micro, o.context, o.steps, o.epochs)
	case !(o.rate > 0) || !(o.clip >= 0) || !(o.decay >= 0):
		return cli.Usagef("--lr is %g, --clip %g and --weight-decay %g: want at least 0, and a rate above it", o.rate, o.clip, o.decay)
	case o.recompute != "none" && o.recompute != "block":
		return cli.Usagef("--recompute is %q, want none or block", o.recompute)
	case o.saveEvery < 0 || o.resume != "auto" && o.resume != "never":
		return cli.Usagef("--save-every is %d and --resume %q: want at least 0, and auto or never", o.saveEvery, o.resume)
	case o.evalEvery < 0 || o.validTokens < 2:
		return cli.Usagef("--eval-every is %d and --valid-tokens %d: want at least 0 and at least 2", o.evalEvery, o.validTokens)
	}
	if _, err := param.ParsePrecision(o.precision); err != nil {
		return &cli.UsageError{Err: err}
	}
	return nil
}

func pretrain(cmd *cobra.Command, o pretrainOptions) error {
	run, err := openRun(cmd, o)
	if err != nil {
		return err
	}
	defer run.close()
	fmt.Fprint(cmd.ErrOrStderr(), run.estimate)
	if err := run.estimate.fits(); err != nil {
		return err
	}
	if o.onlyEstimate {
		return nil
	}
	if err := run.train(cmd.Context()); err != nil {
		return err
	}
	dir, err := run.export(cmd.Context())
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s is ready: ingot serve --model %s\n", dir, dir)
	return nil
}

// source parses DIR or DIR=weight and opens its shards: those of DIR/train, or of DIR.
func source(arg string) (loader.Source, error) {
	path, weight := arg, 1.0
	if at := strings.LastIndexByte(arg, '='); at >= 0 {
		w, err := strconv.ParseFloat(arg[at+1:], 64)
		if err != nil || !(w > 0) {
			return loader.Source{}, cli.Usagef("--data %q: the weight behind = is no number above 0", arg)
		}
		path, weight = arg[:at], w
	}
	shards, err := openShards(path, "train")
	return loader.Source{Name: path, Shards: shards, Weight: weight}, err
}

// openShards opens a shard, or those in a folder's part, or in the folder itself.
func openShards(path, part string) (all []*shard.Shard, err error) {
	files := []string{path}
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("cannot read the training data: %w", err)
	} else if info.IsDir() {
		if files, _ = filepath.Glob(filepath.Join(path, part, "*.shard")); len(files) == 0 {
			files, _ = filepath.Glob(filepath.Join(path, "*.shard"))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%q has no shards: make them with ingot train data", path)
	}
	for _, f := range files {
		s, err := shard.Open(f)
		if err == nil {
			err = s.Verify()
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// threadCount returns how many threads a flag's value means.
func threadCount(n int) int {
	if n == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}
