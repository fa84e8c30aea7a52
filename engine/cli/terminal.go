package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// terminal reads lines with editing and history. The terminal is in raw mode only while
// it reads, so that Ctrl-C is a signal while an answer runs.
type terminal struct {
	fd     int
	editor *term.Terminal
	cooked *term.State // how the terminal was found
}

func newTerminal(in, out *os.File) (*terminal, error) {
	cooked, err := term.GetState(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("cannot set up the terminal: %w", err)
	}
	rw := struct {
		io.Reader
		io.Writer
	}{clearing{in}, out}
	return &terminal{fd: int(in.Fd()), editor: term.NewTerminal(rw, ""), cooked: cooked}, nil
}

// ReadLine implements lineReader.
func (t *terminal) ReadLine(prompt string) (line string, pasted bool, err error) {
	if _, err = term.MakeRaw(t.fd); err != nil {
		return "", false, fmt.Errorf("cannot set up the terminal: %w", err)
	}
	defer t.restore()
	if width, height, err := term.GetSize(t.fd); err == nil && width > 0 {
		_ = t.editor.SetSize(width, height) // it only fails to repaint
	}
	t.editor.SetPrompt(prompt)
	t.editor.SetBracketedPasteMode(true)
	defer t.editor.SetBracketedPasteMode(false)
	line, err = t.editor.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		return line, true, nil
	}
	return line, false, err
}

// restore leaves raw mode.
func (t *terminal) restore() {
	_ = term.Restore(t.fd, t.cooked) // a terminal that is gone needs none
}

// clearing turns Ctrl-C, which the editor takes for the end of the input, into the keys
// that clear the line: to its end (Ctrl-E), delete all before (Ctrl-U).
type clearing struct{ in io.Reader }

func (c clearing) Read(p []byte) (int, error) {
	n, err := c.in.Read(p[:max(len(p)/2, 1)])
	out := make([]byte, 0, 2*n)
	for _, b := range p[:n] {
		if b == 3 {
			out = append(out, 5, 21)
		} else {
			out = append(out, b)
		}
	}
	return copy(p, out), err
}
