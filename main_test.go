package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/train/eval"
)

func TestVersion(t *testing.T) {
	cmd := root()
	var out bytes.Buffer
	cmd.SetOut(&out)
	if err := cli.Execute(context.Background(), cmd, []string{"version"}); err != nil || out.String() != "ingot dev\n" {
		t.Errorf("version prints %q (%v)", out.String(), err)
	}
}

// TestEvalOverURL: ingot eval finds the same of a model here and over ingot serve's API.
func TestEvalOverURL(t *testing.T) {
	model := quanttest.Shared(t, "data", "models", "stories260K")
	data := quanttest.Shared(t, "data", "eval")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- execute(ctx, io.Discard, "serve", "--model", model, "--listen", address) }()
	for {
		if resp, err := http.Get("http://" + address + "/readyz"); err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK {
			break
		}
		select {
		case err := <-served:
			t.Fatalf("the server ended: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	here, there := metrics(t, data, model), metrics(t, data, "--url", "http://"+address)
	if len(here) != 5 || len(there) != len(here) {
		t.Errorf("metrics here %v, over the URL %v", here, there)
	}
	for name, want := range here {
		if got := there[name]; math.Abs(got-want) > 1e-6*max(1, want) {
			t.Errorf("%s is %v here, %v over the URL", name, want, got)
		}
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestSpeedrun makes a model from text with one command, and once more, when all is there;
// the model answers.
func TestSpeedrun(t *testing.T) {
	var lines strings.Builder
	for i := range 300 {
		fmt.Fprintf(&lines, "{\"title\":\"the fox %d\",\"text\":\"The fox number %d went to the river and drank. Then it went home.\"}\n", i, i)
	}
	file, out := filepath.Join(t.TempDir(), "text.jsonl"), filepath.Join(t.TempDir(), "run")
	if err := os.WriteFile(file, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"train", "speedrun", "--out", out, "--vocab-size", "400", "--steps", "2", "--chat-steps", "1", "--ask", "Tell me of {title}.", "--eval", file, file}
	for range 2 {
		var printed bytes.Buffer
		if err := execute(t.Context(), &printed, args...); err != nil {
			t.Fatal(err)
		}
		if got := printed.String(); !strings.Contains(got, "bits_per_byte") || !strings.Contains(got, "ingot serve --model") {
			t.Errorf("printed:\n%s", got)
		}
	}
	var answer bytes.Buffer
	if err := execute(t.Context(), &answer, "run", filepath.Join(out, "model.gguf"), "Tell me of the fox 3.", "--max-tokens", "5"); err != nil || answer.Len() == 0 {
		t.Errorf("the model answers %q, %v", answer.String(), err)
	}
}

// metrics runs ingot eval.
func metrics(t *testing.T, data string, where ...string) map[string]float64 {
	t.Helper()
	var out bytes.Buffer
	args := []string{"eval", "--tasks", "piqa,lambada_openai,arithmetic", "--data", data, "--limit", "20", "--json"}
	if err := execute(t.Context(), &out, append(args, where...)...); err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for lines := json.NewDecoder(&out); lines.More(); {
		var r eval.Result
		if err := lines.Decode(&r); err != nil {
			t.Fatal(err)
		}
		for _, m := range r.Metrics {
			found[r.Task+" "+m.Name] = m.Value
		}
	}
	return found
}

// TestEnvironment: flags of a command without --config come from the environment too, less
// than from the command line; a value that is none is refused by the variable's name.
func TestEnvironment(t *testing.T) {
	info := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if err := execute(t.Context(), &out, append([]string{"info", "builtin"}, args...)...); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	plain, asked := info(), info("--graph")
	t.Setenv("INGOT_GRAPH", "true")
	if got := info(); got != asked || asked == plain {
		t.Errorf("with INGOT_GRAPH %d bytes, with --graph %d, without %d", len(got), len(asked), len(plain))
	}
	if got := info("--graph=false"); got != plain {
		t.Errorf("--graph=false gives %q", got)
	}
	t.Setenv("INGOT_GRAPH", "perhaps")
	if err := execute(t.Context(), io.Discard, "info", "builtin"); err == nil || !strings.Contains(err.Error(), "INGOT_GRAPH") {
		t.Errorf("a value that is none gives %v", err)
	}
}

func execute(ctx context.Context, out io.Writer, args ...string) error {
	cmd := root()
	cmd.SetOut(out)
	cmd.SetErr(io.Discard)
	return cli.Execute(ctx, cmd, args)
}

// TestHelpExamples: every command has a text and an example, and each example is a
// command line that its command understands.
func TestHelpExamples(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%s lacks its help or an example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			if _, call, found := strings.Cut(line, "ingot "); found {
				checkExample(t, call)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root())
}

// checkExample parses the flags and arguments of a command line as the shell would pass
// them.
func checkExample(t *testing.T, call string) {
	t.Helper()
	call, _, _ = strings.Cut(call, " #")
	call, _, _ = strings.Cut(call, " <")
	var args []string
	for i, part := range strings.Split(call, `"`) {
		if i%2 == 1 {
			args = append(args, part) // between quotes
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	cmd, rest, err := root().Find(args)
	if err != nil || cmd.Name() == "ingot" && args[0] != "help" {
		t.Errorf("example %q: no such command (%v)", call, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("example %q: %v", call, err)
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil && args[0] != "help" {
		t.Errorf("example %q: %v", call, err)
	}
}
