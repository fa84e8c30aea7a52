package train

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/settings"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/train/loader"
	"github.com/ingot-llm/ingot/train/optim"
	"github.com/ingot-llm/ingot/train/param"
	"github.com/ingot-llm/ingot/train/shard"
)

// runOptions are the flags of pretraining and fine-tuning.
type runOptions struct {
	preset, tokenizer           string // of a new model
	shape                       map[string]int
	model                       string // that is tuned
	whole                       bool   // documents stay whole
	lora                        loraOptions
	neftune                     float64
	out, config                 string
	data                        []string
	precision, table            string
	threads                     int
	context, batchTokens, micro int
	steps                       int
	epochs                      float64
	optimizer                   string
	rate, decay, clip, muonRate float64
	beta1, beta2                float64
	schedule                    optim.Schedule
	seed                        uint64
	recompute                   string
	recomputed                  kernels.Recompute // that it names
	balance                     float64
	qat                         string // type that the model is to be quantized to, "" = without
	evalEvery, validTokens      int
	ema, skipSpikes             float64
	matchAdamW                  bool
	prompt                      string
	saveEvery                   int
	resume                      string
	onlyEstimate                bool
	dashboard                   string // address, "" for none
	dashboardPublic             bool
}

// runHelp is what the commands' help has in common.
const runHelp = `--data is a folder of train data or a shard; several are mixed by weight, such as
--data web/=0.7,books/=0.3: of the tokens, whatever the sizes.

OUT/checkpoints gets the state every --save-every steps, and when the run is
interrupted (Ctrl-C): the same command goes on from there, bit for bit.
OUT/log.jsonl gets a line a step, and OUT/report.html at the end, however it comes,
the curves, samples and settings on one page; --dashboard shows them as the run goes,
ingot train dashboard OUT at any time, and TensorBoard, from OUT/tensorboard. OUT/model
is, at the end, a Hugging Face model directory that ingot serve and transformers load.

With --qat Q4_0 the model learns to make do with weights rounded to that type
(quantization-aware training): ingot quantize OUT/model FILE Q4_0 then writes just the
weights that it was trained with. It goes best at the end: sft of a trained model.

Every flag is also a setting of the YAML file --config and an environment variable
INGOT_NAME.`

// runDefaults are the flags' defaults in which the commands differ.
type runDefaults struct {
	rate, epochs, decay float64
	batch, warmup       int
	schedule, optimizer string
}

func (o *runOptions) flags(f *pflag.FlagSet, d runDefaults) {
	f.StringVar(&o.config, "config", "", "YAML `file` with settings")
	f.StringSliceVar(&o.data, "data", nil, "`folder` of token shards, with =weight if it is one of several")
	f.StringVar(&o.out, "out", "", "`folder` for the run")
	f.StringVar(&o.precision, "precision", "bf16", "of products: bf16 or f32; masters and sums are always f32")
	f.StringVar(&o.qat, "qat", "", "`type`, such as Q4_0, as which ingot quantize is to store the model: train with weights rounded to it")
	f.StringVar(&o.table, "table", "auto", "kernel `table`")
	f.IntVar(&o.threads, "threads", 0, "of the kernels (0: one for each processor)")
	f.IntVar(&o.context, "context", 0, "tokens of a sequence (0: the model's, at most 1024)")
	f.IntVar(&o.batchTokens, "batch-tokens", d.batch, "tokens of an optimizer step")
	f.IntVar(&o.micro, "micro-tokens", 2048, "tokens of which gradients are computed at a time; memory grows with it")
	f.IntVar(&o.steps, "steps", 0, "optimizer steps (0: as many as --epochs takes)")
	f.Float64Var(&o.epochs, "epochs", d.epochs, "times that the data are gone through")
	f.StringVar(&o.optimizer, "optimizer", d.optimizer, "adamw; muon, of hidden matrices, with AdamW for the rest; or sgd with Nesterov's momentum")
	f.Float64Var(&o.rate, "lr", d.rate, "peak of AdamW's learning rate")
	f.Float64Var(&o.muonRate, "muon-lr", 0.02, "peak of Muon's")
	f.BoolVar(&o.matchAdamW, "muon-match-adamw", false, "scale Muon's steps to the size of AdamW's: --lr and --weight-decay then serve for both")
	f.Float64Var(&o.decay, "weight-decay", d.decay, "of matrices")
	f.Float64Var(&o.clip, "clip", 1, "largest norm of the gradient (0: any)")
	f.Float64Var(&o.beta1, "beta1", 0.9, "AdamW's beta1")
	f.Float64Var(&o.beta2, "beta2", 0.95, "AdamW's beta2")
	f.StringVar(&o.schedule.Kind, "schedule", d.schedule, "of the learning rate: "+strings.Join(optim.Kinds, ", "))
	f.IntVar(&o.schedule.Warmup, "warmup", d.warmup, "steps in which the rate rises from 0, at most a quarter of all")
	f.Float64Var(&o.schedule.Decay, "decay", 0.4, "wsd: share of the run in which the rate falls")
	f.Float64Var(&o.schedule.Floor, "floor", 0, "share of the peak that the rate falls to")
	f.StringVar(&o.recompute, "recompute", "none", kernels.RecomputeUsage)
	f.Float64Var(&o.balance, "balance-loss", 0.01, "weight of the experts' balancing loss")
	f.Float64Var(&o.ema, "ema", 0, "decay of a moving average of the weights, which OUT/model then is, such as 0.999 (0: none)")
	f.Float64Var(&o.skipSpikes, "skip-spikes", 7, "standard deviations above the last 128 steps from which on a loss or gradient makes a step be skipped (0: never)")
	f.IntVar(&o.evalEvery, "eval-every", 200, "steps between validations and samples (0: at the end only)")
	f.IntVar(&o.validTokens, "valid-tokens", 65536, "tokens of a validation")
	f.StringVar(&o.prompt, "prompt", "Once upon a time", "`text` that samples go on from")
	f.IntVar(&o.saveEvery, "save-every", 100, "steps between checkpoints (0: at the end only)")
	f.StringVar(&o.resume, "resume", "auto", "auto: go on from the newest checkpoint in OUT; never: begin anew")
	f.StringVar(&o.dashboard, "dashboard", "", "`address` of a page that shows the run as it goes, such as 127.0.0.1:6006")
	f.BoolVar(&o.dashboardPublic, "dashboard-public", false, "allow an address that other machines can reach: nobody is asked for a key")
	f.BoolVar(&o.onlyEstimate, "estimate", false, "print parameters, memory and time, and do not train")
}

func (o *runOptions) check() (err error) {
	if o.recomputed, err = kernels.ParseRecompute(o.recompute); err != nil {
		return cli.Usagef("--recompute: %w", err)
	}
	if err := o.checkQAT(); err != nil {
		return err
	}
	_, err = param.ParsePrecision(o.precision)
	switch {
	case o.preset != "" && o.tokenizer == "" || o.preset == "" && o.model == "" || len(o.data) == 0 || o.out == "":
		return cli.Usagef("training needs --tokenizer (of a new model) or --model (to tune), --data and --out")
	case o.batchTokens < 2 || o.micro < 2 || o.context < 0 || o.steps < 0 || !(o.epochs > 0):
		return cli.Usagef("--batch-tokens is %d, --micro-tokens %d, --context %d, --steps %d and --epochs %g: want numbers above 0", o.batchTokens, o.micro, o.context, o.steps, o.epochs)
	case !(o.rate > 0) || !(o.muonRate > 0) || !(o.clip >= 0) || !(o.decay >= 0):
		return cli.Usagef("--lr is %g, --muon-lr %g, --clip %g and --weight-decay %g: want at least 0, and rates above it", o.rate, o.muonRate, o.clip, o.decay)
	case !slices.Contains([]string{"adamw", "muon", "sgd"}, o.optimizer):
		return cli.Usagef("--optimizer is %q, want adamw, muon or sgd", o.optimizer)
	case !(o.ema >= 0 && o.ema < 1) || !(o.skipSpikes >= 0):
		return cli.Usagef("--ema is %g and --skip-spikes %g: want 0 to below 1, and at least 0", o.ema, o.skipSpikes)
	case o.saveEvery < 0 || o.resume != "auto" && o.resume != "never":
		return cli.Usagef("--save-every is %d and --resume %q: want at least 0, and auto or never", o.saveEvery, o.resume)
	case o.lora.Rank < 0 || o.lora.Rank > 0 && !(o.lora.Alpha > 0):
		return cli.Usagef("--lora-rank is %d and --lora-alpha %g: want at least 0, and above it", o.lora.Rank, o.lora.Alpha)
	case !(o.neftune >= 0) || math.IsInf(o.neftune, 0):
		return cli.Usagef("--neftune is %g: want at least 0, such as 5", o.neftune)
	case o.evalEvery < 0 || o.validTokens < 2:
		return cli.Usagef("--eval-every is %d and --valid-tokens %d: want at least 0 and at least 2", o.evalEvery, o.validTokens)
	case err != nil:
		return cli.Usagef("--precision: %w", err)
	}
	return nil
}

func (o *runOptions) checkQAT() error {
	if o.qat == "" {
		return nil
	}
	mix, err := quant.ParseMix(o.qat)
	switch {
	case err != nil:
		return cli.Usagef("--qat: %w", err)
	case mix.Base.BlockElems() == 1:
		return cli.Usagef("--qat is %s, which rounds to no grid: want a quantized type such as Q4_0", o.qat)
	case o.lora.Rank > 0 || o.ema > 0:
		return cli.Usagef("--qat rounds the weights that are trained: it goes with neither --lora-rank nor --ema")
	}
	return nil
}

// run trains as the options say.
func (o *runOptions) run(cmd *cobra.Command) error {
	if err := settings.Resolve(cmd.Flags(), os.LookupEnv, o.config); err != nil {
		return &cli.UsageError{Err: err}
	}
	if err := o.check(); err != nil {
		return err
	}
	r, err := openRun(cmd, *o)
	if err != nil {
		return err
	}
	defer r.close()
	fmt.Fprint(cmd.ErrOrStderr(), r.estimate)
	if err := r.estimate.fits(); err != nil || o.onlyEstimate {
		return err
	}
	stop, err := r.showRun()
	if err != nil {
		return err
	}
	defer stop()
	if err := r.train(cmd.Context()); err != nil {
		return err
	}
	ready, err := r.export(cmd.Context())
	if err == nil {
		fmt.Fprint(cmd.OutOrStdout(), ready)
	}
	return err
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

// openShards opens and verifies a shard, or those in a folder's part, or in the folder itself.
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
		if s != nil {
			all = append(all, s)
		}
		if err != nil {
			return all, err
		}
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
