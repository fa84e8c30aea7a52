package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
)

// lineReader reads lines from whoever chats. pasted says that the line came with others,
// by the terminal's paste; io.EOF ends the chat.
type lineReader interface {
	ReadLine(prompt string) (line string, pasted bool, err error)
}

// repl is a chat in the terminal.
type repl struct {
	c          *conversation
	p          *printer
	in         lineReader
	interrupts <-chan os.Signal // each stops the answer at hand
}

// chatOnTerminal chats on the process's terminal until Ctrl-D or SIGTERM. Ctrl-C, which
// ends other commands, stops an answer only.
func chatOnTerminal(ctx context.Context, c *conversation, p *printer) error {
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGTERM)
	defer stop()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	t, err := newTerminal(os.Stdin, os.Stdout)
	if err != nil {
		return err
	}
	defer t.restore()
	fmt.Fprintln(p.out, "Type a message. /help lists commands, Ctrl-C stops an answer, Ctrl-D leaves.")
	r := &repl{c, p, t, interrupts}
	done := make(chan error, 1)
	go func() { done <- r.loop(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return nil // the loop may be waiting for a line that never comes
	}
}

// loop reads messages and answers them.
func (r *repl) loop(ctx context.Context) error {
	for {
		text, err := readMessage(r.in)
		switch {
		case errors.Is(err, io.EOF):
			_, err = fmt.Fprintln(r.p.out)
			return err
		case err != nil:
			return fmt.Errorf("cannot read from the terminal: %w", err)
		case strings.TrimSpace(text) == "":
			continue
		case strings.HasPrefix(text, "/"):
			if text == "/bye" || text == "/exit" {
				return nil
			}
			fmt.Fprintln(r.p.out, r.command(text))
		default:
			r.answer(ctx, text)
		}
	}
}

// answer prints an answer until it ends or is interrupted. A chat survives errors.
func (r *repl) answer(ctx context.Context, text string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case <-r.interrupts: // from before
	default:
	}
	go func() {
		select {
		case <-r.interrupts:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := r.p.answer(ctx, r.c, text); err != nil && ctx.Err() == nil {
		fmt.Fprintln(r.p.out, "error:", err)
	}
}

const replHelp = `/system TEXT       set the system prompt; alone, show it
/clear             forget the conversation
/set               show the settings
/set NAME VALUE    change one, such as /set temperature 0.7
/bye               leave (so does Ctrl-D)
A line that ends in \ goes on in the next; """ begins and ends a text of several lines.`

// command carries out a line that begins with a slash and returns what to say.
func (r *repl) command(line string) string {
	name, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch name {
	case "/help", "/?":
		return replHelp
	case "/clear":
		r.c.turns = nil
		return "The conversation is forgotten."
	case "/system":
		return r.system(rest)
	case "/set":
		return r.set(rest)
	}
	return fmt.Sprintf("There is no command %s: /help lists them. A message cannot begin with a slash; a space before it helps.", name)
}

func (r *repl) system(text string) string {
	switch {
	case r.c.voice.chat == nil:
		return "The model has no chat template, and so no system prompt."
	case text == "":
		return fmt.Sprintf("The system prompt is %q.", r.c.system)
	}
	r.c.system = text
	return "The system prompt is set."
}

func (r *repl) set(rest string) string {
	fs := pflag.NewFlagSet("set", pflag.ContinueOnError)
	r.c.generation.addFlags(fs)
	if rest == "" {
		var out []string
		fs.VisitAll(func(f *pflag.Flag) { out = append(out, f.Name+" "+f.Value.String()) })
		return strings.Join(out, "\n")
	}
	name, value, _ := strings.Cut(rest, " ")
	before := r.c.generation
	err := fs.Set(name, strings.TrimSpace(value))
	if err == nil {
		err = r.c.generation.validate(r.c.voice.tokenizer.Vocab())
	}
	if err != nil {
		r.c.generation = before
		return "error: " + err.Error()
	}
	return name + " " + fs.Lookup(name).Value.String()
}

// readMessage reads a message of one or several lines.
func readMessage(in lineReader) (string, error) {
	const quote = `"""`
	var lines []string
	quoted := false
	for prompt := ">>> "; ; prompt = "... " {
		line, pasted, err := in.ReadLine(prompt)
		if err != nil {
			return "", err
		}
		if len(lines) == 0 && !quoted && strings.HasPrefix(line, quote) {
			quoted, line = true, line[len(quote):]
		}
		inner, ends := strings.CutSuffix(line, quote)
		goesOn := false
		switch {
		case quoted && ends:
			line, quoted = inner, false
		case quoted || pasted:
			goesOn = true
		default:
			line, goesOn = strings.CutSuffix(line, `\`)
		}
		if lines = append(lines, line); !goesOn {
			return strings.Join(lines, "\n"), nil
		}
	}
}
