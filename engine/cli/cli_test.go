package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/quant/quanttest"
)

// outcome is what a command did.
type outcome struct {
	out, err string // stdout, stderr
	fault    error
}

// command runs "ingot ARGS..." on its own streams.
func command(stdin string, args ...string) outcome {
	root := Group("ingot", "", "")
	root.AddCommand(Commands()...)
	var out, err bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&err)
	fault := Execute(context.Background(), root, args)
	return outcome{out.String(), err.String(), fault}
}

// succeed runs a command that must succeed and returns its stdout.
func succeed(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	o := command(stdin, args...)
	if o.fault != nil {
		t.Fatalf("ingot %s: %v", strings.Join(args, " "), o.fault)
	}
	return o.out
}

func stories(t *testing.T) string {
	return quanttest.Shared(t, "data", "models", "stories260K")
}

// TestUsageErrors: what cannot be understood exits with 2, work that fails with 1; the
// message names the thing and the remedy, and nothing is printed besides.
func TestUsageErrors(t *testing.T) {
	check := func(code int, line string, want ...string) {
		t.Helper()
		o := command("", strings.Fields(line)...)
		if ExitCode(o.fault) != code {
			t.Errorf("ingot %s: exit status %d (%v), want %d", line, ExitCode(o.fault), o.fault, code)
		}
		for _, w := range want {
			if !strings.Contains(fmt.Sprint(o.fault), w) {
				t.Errorf("ingot %s: %q does not say %q", line, o.fault, w)
			}
		}
		if o.out != "" || o.err != "" {
			t.Errorf("ingot %s: printed %q and %q besides its error", line, o.out, o.err)
		}
	}
	check(2, "conver a b", `"conver"`, "did you mean convert?")
	check(2, "zzz", `"zzz"`, "--help")
	check(2, "help conver", `"conver"`, "did you mean convert?")
	check(2, "info", "info needs FILE", "ingot info --help")
	check(2, "convert a", "convert needs DST")
	check(2, "info a b", `"b"`)
	check(2, "info --tensor a", "--tensor", "ingot info --help")
	check(2, "info a --json --graph", "--json", "--graph")
	check(2, "quantize a b.gguf Q9", `"Q9"`, "Q4_K_M")
	check(2, "quantize a b.bin Q8_0", `"b.bin"`, ".gguf")
	check(2, "convert a b.gguf --split-size 5X", `"5X"`, "500M")
	check(2, "tokenize", "--model FILE")
	check(2, "render", "--template FILE")
	check(2, "render --template x --now noon", `"noon"`, "2025-01-15")
	check(2, "run a --temperature hot", "hot", "temperature")
	check(2, "run a --config no-such-file.yaml", "no-such-file.yaml")
	check(1, "info no-such-file", "no-such-file")
	check(1, "convert no-such-file b.gguf", "no-such-file")
	check(1, "tokenize --model no-such-file", "no-such-file")
	check(1, "render --template no-such-file", "no-such-file")
	check(1, "run no-such-file hello", "no-such-file")
}

func TestHelp(t *testing.T) {
	for _, line := range []string{"help quantize", "quantize --help"} {
		out := succeed(t, "", strings.Fields(line)...)
		for _, want := range []string{"quantize SRC DST TYPE", "Q4_K_M", "--allow-requantize", "--help"} {
			if !strings.Contains(out, want) {
				t.Errorf("ingot %s does not print %q:\n%s", line, want, out)
			}
		}
	}
	if out := succeed(t, ""); !strings.Contains(out, "tokenize ") {
		t.Errorf("ingot alone prints\n%s", out)
	}
}

// TestInterrupted: a command that ends with its context says so in a word.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	root := Group("ingot", "", "")
	root.AddCommand(Commands()...)
	dst := filepath.Join(t.TempDir(), "a.gguf")
	err := Execute(ctx, root, []string{"convert", stories(t), dst})
	if ExitCode(err) != 1 || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("an interrupted conversion gave %v", err)
	}
	if _, err := os.Stat(dst); err == nil {
		t.Error("it left a file")
	}
}

func TestExitCode(t *testing.T) {
	check := func(err error, want int) {
		t.Helper()
		if got := ExitCode(err); got != want {
			t.Errorf("exit status of %v is %d, want %d", err, got, want)
		}
	}
	check(nil, 0)
	check(errors.New("x"), 1)
	check(Usagef("x"), 2)
	check(fmt.Errorf("y: %w", Usagef("x")), 2)
}

// TestProgress: where stderr is no terminal there is a log line now and then, and never a
// bar.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out, "counting", false)
	p.Set(1, 10)
	if out.Len() > 0 {
		t.Fatalf("quick work printed %q", out.String())
	}
	p.next = time.Now()
	p.Set(5, 10)
	p.Set(6, 10)
	p.Done()
	got := out.String()
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, "msg=counting done=5 total=10") || strings.Contains(got, "\r") {
		t.Errorf("progress printed %q, want one log line", got)
	}
	var none *Progress
	none.Set(1, 2)
	none.Done()
}

// TestProgressBar: on a terminal a bar appears once the work takes a second, and is gone
// at the end.
func TestProgressBar(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out, "counting", true)
	p.tty = true
	p.next = time.Now()
	p.Set(5, 10)
	if !strings.Contains(out.String(), "counting") {
		t.Errorf("the bar shows %q", out.String())
	}
	p.Done()
	if tail := out.String()[out.Len()-4:]; !strings.HasSuffix(tail, "\r") {
		t.Errorf("the bar stays: it ends in %q", tail)
	}
}
