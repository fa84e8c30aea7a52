package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/settings"
)

// runOptions are the flags of ingot run.
type runOptions struct {
	engine     engine.Options
	generation generation
	config     string
	system     string
	stats      bool
}

func runCommand() *cobra.Command {
	o := runOptions{generation: newGeneration()}
	cmd := &cobra.Command{
		Use:   `run MODEL ["PROMPT"]`,
		Short: "Chat with a model in the terminal, or get one answer",
		Long: `Runs a model here, without a server: a chat in the terminal, or one answer where a
prompt is given as an argument or on stdin.

MODEL is a GGUF file, a Hugging Face directory or a llama2.c file. A model without a
chat template completes the text. In the chat /help lists the commands; Ctrl-C stops
an answer and Ctrl-D leaves. Flags can also be set by INGOT_* variables
(INGOT_THREADS=2) or in the YAML file of --config.`,
		Example: `  ingot run model.gguf
  ingot run model.gguf "Write a haiku about iron." --temperature 0.7
  ingot run model.gguf --system "Answer in one sentence." < question.txt`,
		Args: Args("MODEL", "[PROMPT]"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	f := cmd.Flags()
	f.StringVar(&o.system, "system", "", "system `prompt`")
	f.BoolVar(&o.stats, "stats", false, "print the speed after each answer, on stderr")
	f.StringVar(&o.config, "config", "", "YAML `file` of settings, named as the flags are")
	o.generation.addFlags(f)
	o.addEngineFlags(f)
	return cmd
}

// addEngineFlags takes over the engine's flags that matter to a single reader.
func (o *runOptions) addEngineFlags(f *pflag.FlagSet) {
	all := pflag.NewFlagSet("engine", pflag.ContinueOnError)
	o.engine.AddFlags(all)
	for _, name := range []string{"table", "weights", "threads", "nice", "activations", "kv-type", "context", "memory"} {
		f.AddFlag(all.Lookup(name))
	}
	o.engine.MaxSeqs = 1
}

func (o *runOptions) run(cmd *cobra.Command, args []string) error {
	if err := o.resolve(cmd.Flags()); err != nil {
		return err
	}
	o.engine.Model = args[0]
	level := &slog.HandlerOptions{Level: slog.LevelWarn}
	e, err := engine.Open(o.engine, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), level)))
	if err != nil {
		return err
	}
	info := e.Info()
	if !info.Generates {
		return errors.Join(fmt.Errorf("%s is a %s model that does not generate text: serve it and use /v1/embeddings", args[0], info.Arch), e.Close())
	}
	read := &reading{out: cmd.ErrOrStderr()}
	e.OnStep(read.step)
	c := &conversation{voice: voice{e.Submit, e.Tokenizer(), e.Chat(), info.Context, read}, system: o.system}
	if c.generation, err = o.generation.over(info.DefaultSampling, cmd.Flags()); err == nil {
		err = c.generation.validate(e.Tokenizer().Vocab())
	}
	if err != nil {
		err = &UsageError{err}
	} else {
		err = o.talk(cmd, c, args[1:])
	}
	return errors.Join(err, e.Close())
}

// resolve takes settings from the environment and the --config file.
func (o *runOptions) resolve(f *pflag.FlagSet) error {
	if !f.Changed("config") {
		o.config = os.Getenv(settings.EnvName("config"))
	}
	if err := settings.Resolve(f, os.LookupEnv, o.config); err != nil {
		return &UsageError{err}
	}
	return nil
}

// talk answers the prompt of the arguments or of stdin; without either, on a terminal,
// it chats.
func (o *runOptions) talk(cmd *cobra.Command, c *conversation, prompt []string) error {
	if c.voice.chat == nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "ingot: the model has no chat template: it completes the text as it stands")
		if c.system != "" {
			return Usagef("--system needs a chat template, which the model does not have")
		}
	}
	p := &printer{out: cmd.OutOrStdout(), thoughts: cmd.ErrOrStderr(), styled: IsTerminal(cmd.OutOrStdout())}
	if o.stats {
		p.stats = cmd.ErrOrStderr()
	}
	if len(prompt) > 0 {
		return p.answer(cmd.Context(), c, prompt[0])
	}
	if !IsTerminal(cmd.InOrStdin()) {
		text, err := io.ReadAll(cmd.InOrStdin())
		if err != nil {
			return fmt.Errorf("cannot read the prompt: %w", err)
		}
		return p.answer(cmd.Context(), c, string(text))
	}
	return chatOnTerminal(cmd.Context(), c, p)
}

// printer shows answers as they come.
type printer struct {
	out      io.Writer // answers
	thoughts io.Writer // reasoning, where out is no terminal
	stats    io.Writer // speed after an answer; nil for none
	styled   bool      // out is a terminal
	dim      bool      // reasoning is being shown
}

// answer prints the answer to the next message of c and ends its line.
func (p *printer) answer(ctx context.Context, c *conversation, message string) error {
	start := time.Now()
	usage, err := c.answer(ctx, message, p.show)
	p.shade(false)
	if err == nil || ctx.Err() != nil {
		fmt.Fprintln(p.out)
	}
	if p.stats != nil && usage.CompletionTokens > 0 {
		took := time.Since(start).Seconds()
		fmt.Fprintf(p.stats, "%d prompt tokens, %d generated, %.1f s, %.1f tokens/s\n",
			usage.PromptTokens, usage.CompletionTokens, took, float64(usage.CompletionTokens)/took)
	}
	return err
}

// show prints a part of an answer: reasoning dimmed, or apart from the answer where that
// goes to a file.
func (p *printer) show(e chat.Event) error {
	to := p.out
	switch e.Kind {
	case chat.Reasoning:
		if !p.styled {
			to = p.thoughts
		}
		p.shade(true)
	case chat.Call:
		e.Text = fmt.Sprintf("[calls %s(%s)]", e.Call.Name, e.Call.Arguments)
		p.shade(false)
	default:
		p.shade(false)
	}
	if p.styled {
		e.Text = strings.Map(printable, e.Text)
	}
	_, err := io.WriteString(to, e.Text)
	return err
}

// shade begins or ends the dimmed style on a terminal.
func (p *printer) shade(on bool) {
	if p.dim == on {
		return
	}
	p.dim = on
	switch {
	case !p.styled:
		if !on {
			fmt.Fprintln(p.thoughts)
		}
	case on:
		fmt.Fprint(p.out, "\x1b[2m")
	default:
		fmt.Fprint(p.out, "\x1b[0m\n\n")
	}
}

// printable drops control characters: a model's text must not steer the terminal.
func printable(r rune) rune {
	if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
		return -1
	}
	return r
}
