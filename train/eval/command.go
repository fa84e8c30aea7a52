package eval

import (
	"context"
	"log/slog"
	"math"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/cli"
)

// command are the flags of ingot eval.
type command struct {
	engine      engine.Options
	options     Options
	tasks       []string
	url, keyEnv string
	against     string // a reference to compare with
	json        bool
}

// Command returns ingot eval.
func Command() *cobra.Command {
	var c command
	cmd := &cobra.Command{
		Use:   "eval [MODEL] --tasks LIST",
		Short: "Measure what a model knows: choices, answers, bits per byte",
		Long: `Asks a model the questions of tasks and reports what it got right, each figure with
its standard error. MODEL is what ingot serve takes; with --url it is the name of a
model that a server has (its first, if none is given), which must echo prompts with
log-probabilities in /v1/completions, as ingot serve and vLLM do.

  choice   the likeliest of the choices after the question: acc; by character: acc_norm
  ending   the text's own last word: acc where the model would have written it
  answer   what the model writes, up to a line end or the like: exact_match, f1
  text     any text: bits_per_byte, and perplexity of a token

Prompts and metrics are lm-evaluation-harness's where it has the task; solved examples
(--num-fewshot) are the file's first rows other than the question. --tasks list shows
the tasks and their files, which lie in the folder --data: JSON lines, plain or .gz.
A text of more than 64 KiB counts as several. Over a URL a long text is scored in
shorter windows than here, which makes it a little less likely.

--against compares MODEL with a reference, such as the model that it was quantized from,
over the texts of --tasks, in windows of at most 512 tokens with a cache in F32:

  kl_divergence         mean divergence of MODEL's next-token distribution from the
                        reference's, in nats: what was lost, whatever the text says
  top1_agreement        share of tokens at which both find the same next one likeliest
  perplexity            of MODEL, and reference_perplexity`,
		Example: `  ingot eval model.gguf --tasks bpb --file book.txt
  ingot eval model-q4.gguf --against model-f16.gguf --tasks bpb --file book.txt
  ingot eval model.gguf --tasks arc_easy,piqa --data shared/data --limit 200
  ingot eval model.gguf --tasks gsm8k --num-fewshot 8 --data shared/data --json
  OPENAI_API_KEY=secret ingot eval --url http://127.0.0.1:8080 --tasks boolq --data shared/data
  ingot eval --tasks list`,
		Args: cli.Args("[MODEL]"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	c.flags(cmd.Flags())
	return cmd
}

func (c *command) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&c.tasks, "tasks", nil, "`names` of tasks, a list; list shows them")
	f.StringVar(&c.options.Data, "data", ".", "`folder` of the tasks' files")
	f.StringSliceVar(&c.options.Files, "file", nil, "`files` of text, .txt or .jsonl, plain, .gz or .zst, for bpb")
	f.IntVar(&c.options.Limit, "limit", 0, "at most so many questions of a task, its first ones (0: all)")
	f.IntVar(&c.options.Shots, "num-fewshot", -1, "solved examples before each question (-1: as the task has it)")
	f.StringVar(&c.url, "url", "", "`address` of an OpenAI-compatible server, instead of a model here")
	f.StringVar(&c.keyEnv, "key-env", "OPENAI_API_KEY", "environment `variable` with the server's API key, if it is set")
	f.StringVar(&c.against, "against", "", "reference `model` to compare with over text")
	f.BoolVar(&c.json, "json", false, "print a JSON object a task")
	all := pflag.NewFlagSet("engine", pflag.ContinueOnError)
	c.engine.AddFlags(all)
	for _, name := range []string{"table", "weights", "threads", "nice", "activations", "kv-type", "context", "max-seqs", "memory"} {
		f.AddFlag(all.Lookup(name))
	}
	f.Lookup("max-seqs").Usage = "questions asked at once"
}

func (c *command) check(args []string) error {
	switch {
	case len(c.tasks) == 0:
		return cli.Usagef("name tasks: --tasks bpb, or --tasks list to see what there is")
	case c.url == "" && len(args) == 0:
		return cli.Usagef("name a model, or a server by --url")
	case c.url != "" && c.against != "":
		return cli.Usagef("--against compares models that are here, not one at --url")
	case c.options.Limit < 0:
		return cli.Usagef("--limit is %d, want at least 0", c.options.Limit)
	case c.options.Shots < -1:
		return cli.Usagef("--num-fewshot is %d, want at least -1", c.options.Shots)
	case c.engine.MaxSeqs < 1:
		return cli.Usagef("--max-seqs is %d, want at least 1", c.engine.MaxSeqs)
	}
	return nil
}

func (c *command) run(cmd *cobra.Command, args []string) error {
	if slices.Equal(c.tasks, []string{"list"}) {
		return list(cmd.OutOrStdout())
	}
	if err := c.check(args); err != nil {
		return err
	}
	tasks, err := Find(c.tasks)
	if err != nil {
		return cli.Usagef("--tasks: %w", err)
	}
	ask, name, done, err := c.open(cmd, args)
	if err != nil {
		return err
	}
	defer done()
	out := &report{out: cmd.OutOrStdout(), json: c.json, model: name}
	log := cli.Logger(cmd.ErrOrStderr())
	c.options.Parallel = c.engine.MaxSeqs
	c.options.Damaged = func(err error) { log.Warn("a row cannot be used", "error", err) }
	for _, t := range tasks {
		r, err := c.ask(cmd, ask, t)
		if err != nil {
			return err
		}
		if err := out.write(r); err != nil {
			return err
		}
	}
	return nil
}

// asker puts a task to what was opened.
type asker func(ctx context.Context, t *Task, o Options) (*Result, error)

// ask runs a task beside a progress bar.
func (c *command) ask(cmd *cobra.Command, ask asker, t *Task) (*Result, error) {
	p := cli.NewProgress(cmd.ErrOrStderr(), t.Name, false)
	defer p.Done()
	c.options.Progress = func(done, total int) { p.Set(int64(done), int64(total)) }
	return ask(cmd.Context(), t, c.options)
}

// What serving bounds and evaluation does not: milliseconds of a step, since nobody waits
// for the next token, and requests that wait, since all are this command's own.
const (
	stepMS  = 60_000
	waiting = math.MaxInt32
)

// open opens the model, with its reference, or finds the server. done ends the work with it.
func (c *command) open(cmd *cobra.Command, args []string) (ask asker, name string, done func(), err error) {
	warnings := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	if c.against != "" {
		pair, err := Compare(args[0], c.against, c.engine, warnings)
		if err != nil {
			return nil, "", nil, err
		}
		return pair.Run, args[0] + " against " + c.against, func() { pair.Close() }, nil
	}
	s, name, done, err := c.openScorer(cmd.Context(), args, warnings)
	return func(ctx context.Context, t *Task, o Options) (*Result, error) { return Run(ctx, s, t, o) }, name, done, err
}

func (c *command) openScorer(ctx context.Context, args []string, warnings *slog.Logger) (s Scorer, name string, done func(), err error) {
	model := ""
	if len(args) > 0 {
		model = args[0]
	}
	if c.url != "" {
		e, err := Dial(ctx, c.url, os.Getenv(c.keyEnv), model)
		if err != nil {
			return nil, "", nil, err
		}
		return e, e.model, func() {}, nil
	}
	c.engine.Model, c.engine.MaxStepMS, c.engine.MaxWaiting = model, stepMS, waiting
	e, err := engine.Open(c.engine, warnings)
	if err != nil {
		return nil, "", nil, err
	}
	if s, err = FromEngine(e); err != nil {
		e.Close()
		return nil, "", nil, err
	}
	return s, e.Info().ID, func() { e.Close() }, nil
}
