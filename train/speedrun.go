package train

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
)

// speedrunOptions are the flags of train speedrun.
type speedrunOptions struct {
	out, preset, typ     string
	chats, ask, evalFile string
	vocab                int
	steps, chatSteps     int
}

func speedrunCommand() *cobra.Command {
	var o speedrunOptions
	cmd := &cobra.Command{
		Use:   "speedrun --out DIR FILES...",
		Short: "Make a model from text with one command",
		Long: `Makes a model from text files: trains a tokenizer, turns the text into tokens, pretrains,
fine-tunes on conversations if there are any (--chats, or --ask), quantizes, and measures
the result on a text it has not seen (--eval). It runs the commands that do each, prints
them, and leaves what each makes in OUT; interrupted, the same command goes on. The
defaults take some minutes on two cores; for a better model raise --steps and --preset.`,
		Example: `  ingot train speedrun --out run/ books/*.txt
  ingot train speedrun --out run/ --ask "Tell me a story about {title}." --eval held-back.txt books/*.jsonl.gz
  ingot serve --model run/model.gguf`,
		Args: cobra.MinimumNArgs(0),
		RunE: func(cmd *cobra.Command, files []string) error {
			if o.out == "" || len(files) == 0 {
				return cli.Usagef("train speedrun needs --out and files of text")
			}
			return o.run(cmd, files)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "`folder` for all that is made")
	f.StringVar(&o.preset, "preset", "nano", "`name` of the model's size, as ingot train pretrain has it")
	f.IntVar(&o.vocab, "vocab-size", 4096, "tokens of the tokenizer")
	f.IntVar(&o.steps, "steps", 500, "of pretraining, 8,192 tokens each")
	f.StringVar(&o.chats, "chats", "", "`file` of conversations to fine-tune on")
	f.StringVar(&o.ask, "ask", "", "make conversations of the text: what the user says, with {field}s of a line, which the text answers")
	f.IntVar(&o.chatSteps, "chat-steps", 60, "of fine-tuning, 8,192 tokens each")
	f.StringVar(&o.typ, "type", "Q8_0", "`type` that the model is quantized to")
	f.StringVar(&o.evalFile, "eval", "", "`file` of text that is held back, to measure the model on")
	return cmd
}

// run carries out the stages that are not done.
func (o *speedrunOptions) run(cmd *cobra.Command, files []string) error {
	start := time.Now()
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	for _, s := range o.stages(files) {
		if _, err := os.Stat(s.makes); s.makes != "" && err == nil {
			continue
		}
		if err := s.run(cmd); err != nil {
			return fmt.Errorf("ingot %s: %w", s.name(), err)
		}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s is ready after %v: ingot serve --model %s\n", o.path("model.gguf"), time.Since(start).Round(time.Second), o.path("model.gguf"))
	return nil
}

func (o *speedrunOptions) path(name string) string { return filepath.Join(o.out, name) }

// stage is a command line of ingot.
type stage struct {
	makes string // what is there once it is done; "" to run it always
	args  []string
}

func (s *stage) name() string { return s.args[0] + " " + s.args[1] }

// stages lists the commands in order.
func (o *speedrunOptions) stages(files []string) []stage {
	tok, data, pre, base := o.path("tok"), o.path("data"), o.path("pretrain"), o.path("pretrain/model")
	batch := []string{"--batch-tokens", "8192"}
	all := []stage{
		{tok, append([]string{"train", "tokenizer", "--vocab-size", strconv.Itoa(o.vocab), "--out", tok}, files...)},
		{data, append([]string{"train", "data", "--tokenizer", tok, "--out", data}, files...)},
		{base, append([]string{"train", "pretrain", "--preset", o.preset, "--tokenizer", tok, "--data", data, "--out", pre,
			"--steps", strconv.Itoa(o.steps), "--lr", "4e-3", "--warmup", "10", "--decay", "0.5"}, batch...)},
	}
	if o.chats != "" || o.ask != "" {
		chats, tuned := o.path("chats"), o.path("sft")
		source := append([]string{"--ask", o.ask}, files...)
		if o.chats != "" {
			source = []string{"--chat", o.chats}
		}
		all = append(all, stage{chats, append([]string{"train", "data", "--tokenizer", tok, "--valid", "0.03", "--out", chats}, source...)})
		base = filepath.Join(tuned, "model")
		all = append(all, stage{base, append([]string{"train", "sft", "--model", o.path("pretrain/model"), "--data", chats, "--out", tuned,
			"--steps", strconv.Itoa(o.chatSteps), "--lr", "1e-3", "--warmup", "5"}, batch...)})
	}
	file := o.path("model.gguf")
	all = append(all, stage{file, []string{"quantize", base, file, o.typ}})
	if o.evalFile != "" {
		all = append(all, stage{"", []string{"eval", file, "--tasks", "bpb", "--file", o.evalFile}})
	}
	return all
}

// line shows the stage as a command line, a long one cut short.
func (s *stage) line() string {
	words := []string{"ingot"}
	for i, a := range s.args {
		if i == 16 {
			return strings.Join(words, " ") + " ..."
		}
		if strings.ContainsAny(a, " \"'{}$*") {
			a = strconv.Quote(a)
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// run prints and carries out the stage, by a command of its own with flags unset.
func (s *stage) run(cmd *cobra.Command) error {
	fmt.Fprintf(cmd.ErrOrStderr(), "\n%s\n", s.line())
	sub, rest, err := freshCommand(cmd, s.args)
	if err != nil {
		return err
	}
	sub.SetOut(cmd.OutOrStdout())
	sub.SetErr(cmd.ErrOrStderr())
	sub.SetContext(cmd.Context())
	if err := sub.ParseFlags(rest); err != nil {
		return err
	}
	return sub.RunE(sub, sub.Flags().Args())
}

// freshCommand returns the command of args: train's own made anew, since it may run twice,
// others the program's.
func freshCommand(cmd *cobra.Command, args []string) (*cobra.Command, []string, error) {
	if args[0] == "train" {
		return Commands()[0].Find(args[1:])
	}
	return cmd.Root().Find(args)
}
