package bench

import (
	"math"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/model/shape"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
)

// accuracyOptions are the flags of ingot bench accuracy.
type accuracyOptions struct {
	model, shape, file, table string
	types                     []string
	tokens, threads           int
	json                      bool
}

func accuracyCommand() *cobra.Command {
	var o accuracyOptions
	cmd := &cobra.Command{
		Use:   "accuracy (--model FILE | --shape NAME) --file TEXT",
		Short: "Measure what types of weights and int8 activations cost in accuracy",
		Long: `Quantizes a model's float weights to each type as ingot quantize does, and lets it
predict every next token of a text, once with bf16 and once with int8 activations.

  perplexity  e to the mean surprise, in nats, at the text's own next token: 1 is a
              model that knows the text by heart, the vocabulary's size one that guesses
  KL vs F32   mean divergence, in nats, of the model's distribution from that of the
              same model in F32: what the rounding loses, whatever the text says
  top1 vs F32 share of tokens at which both find the same next token likeliest
  vs bf16     on rows of int8 activations, the same two against bf16 ones at the same
              weights: what int8 activations alone cost

The text is cut into windows of the model's context, at most 512 tokens, each read
from its beginning; the cache of keys and values is F32 throughout. A type whose
blocks do not divide the model's rows gives way as in ingot quantize; the column
"stored" says which types the weights then have, the largest share first.

--shape makes a model with random weights; its tokens are the text's words, numbered
at random. Its perplexity says little, its divergences that of rounding through as many layers:
` + shape.Names(shape.All()) + ".",
		Example: `  ingot bench accuracy --model model-f16.gguf --file wiki.valid.txt
  ingot bench accuracy --model Qwen3-0.6B/ --type Q4_0,Q8_0 --file story.txt --tokens 8192 --json
  ingot bench accuracy --shape llama-15m --file story.txt`,
		Args: cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "`file` or directory of a model in F32, F16 or BF16")
	f.StringVar(&o.shape, "shape", "", "`name` of a model's shape, with random weights")
	f.StringSliceVar(&o.types, "type", []string{"BF16", "Q8_0", "Q6_K", "Q4_K_M", "Q4_0"}, "types of weights, a list of those that ingot quantize knows")
	f.StringVar(&o.file, "file", "", "`file` of text to predict")
	f.IntVar(&o.tokens, "tokens", 4096, "at most so many tokens of the text")
	f.IntVar(&o.threads, "threads", 0, "threads (0: one for each processor)")
	f.StringVar(&o.table, "table", "auto", "kernel table: auto or one that ingot doctor lists")
	f.BoolVar(&o.json, "json", false, "print a JSON object a line")
	return cmd
}

func (o *accuracyOptions) check() (mixes []quant.Mix, err error) {
	switch {
	case (o.model == "") == (o.shape == ""):
		return nil, cli.Usagef("give either --model FILE or --shape NAME")
	case o.file == "":
		return nil, cli.Usagef("give a text to predict: --file TEXT")
	case o.tokens < 2:
		return nil, cli.Usagef("--tokens is %d, want at least 2", o.tokens)
	case o.threads < 0:
		return nil, cli.Usagef("--threads is %d, want at least 0", o.threads)
	}
	for _, name := range o.types {
		mix, err := quant.ParseMix(name)
		if err != nil {
			return nil, cli.Usagef("--type: %w", err)
		}
		if mix.Name != f32Mix.Name {
			mixes = append(mixes, mix)
		}
	}
	return mixes, nil
}

// f32Mix is what every type is compared with; it is always measured.
var f32Mix = quant.Mix{Name: "F32", Base: quant.F32}

func (o *accuracyOptions) run(cmd *cobra.Command) error {
	mixes, err := o.check()
	if err != nil {
		return err
	}
	lib, table, err := openTable(cmd, o.threads, o.table)
	if err != nil {
		return err
	}
	defer lib.Close()
	src, err := o.open()
	if err != nil {
		return err
	}
	defer src.Close()
	text, err := os.ReadFile(o.file)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ingot-accuracy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	a := &accuracy{src: src, dir: dir, table: table, name: o.name(), stderr: cmd.ErrOrStderr(), out: newAccuracyWriter(cmd.OutOrStdout(), o.json)}
	if err := a.measure(cmd.Context(), string(text), o.tokens, mixes); err != nil {
		return err
	}
	return a.out.close()
}

// name is what the results call the model.
func (o *accuracyOptions) name() string {
	if o.shape != "" {
		return o.shape
	}
	return filepath.Base(filepath.Clean(o.model))
}

func (o *accuracyOptions) open() (quant.Source, error) {
	if o.model != "" {
		return checkpoint.Open(o.model)
	}
	s, err := shape.Find(o.shape)
	if err != nil {
		return nil, cli.Usagef("--shape: %w", err)
	}
	r := newRandomModel(s, f32Mix, nil)
	r.distinct = math.MaxInt // equal rows would be equally likely tokens
	return r, fits(r.bytes)
}
