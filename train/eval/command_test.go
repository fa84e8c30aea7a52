package eval

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/cli"
)

// execute runs ingot eval and returns its stdout.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := Command()
	var out, log bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&log)
	err := cli.Execute(t.Context(), cmd, args)
	if log.Len() > 0 {
		t.Log(log.String())
	}
	return out.String(), err
}

func TestList(t *testing.T) {
	out, err := execute(t, "--tasks", "list")
	if err != nil || !strings.Contains(out, "arc_easy") || strings.Count(out, "\n") != len(Tasks())+1 {
		t.Errorf("the list (%v) is\n%s", err, out)
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		want string
	}{
		{"model.gguf", "--tasks"},
		{"--tasks bpb", "--url"},
		{"model.gguf --tasks bpb,nonsense", "nonsense"},
		{"model.gguf --tasks bpb --limit -1", "--limit"},
		{"model.gguf --tasks bpb --num-fewshot -2", "--num-fewshot"},
		{"model.gguf --tasks bpb --max-seqs 0", "--max-seqs"},
		{"model.gguf other.gguf --tasks bpb", "other.gguf"},
	} {
		_, err := execute(t, strings.Fields(c.args)...)
		var usage *cli.UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("eval %s: %v, want a usage error with %q", c.args, err, c.want)
		}
	}
}

// TestCommandOverURL: the table of a server's model; the key and the model's name reach it.
func TestCommandOverURL(t *testing.T) {
	f := newFake(t)
	t.Setenv("OPENAI_API_KEY", "sesame")
	f.key = "sesame"
	dir := t.TempDir()
	write(t, dir, "copa.jsonl", `{"query": "a, because", "choices": ["9", "99"], "gold": 0}`)
	write(t, dir, "text.txt", "abc")
	out, err := execute(t, "--url", f.url, "--tasks", "copa,bpb", "--data", dir, "--file", filepath.Join(dir, "text.txt"))
	if err != nil || !strings.HasPrefix(out, "fake\n") || !strings.Contains(out, "copa") || !strings.Contains(out, "1.0000") || !strings.Contains(out, "bits_per_byte") {
		t.Errorf("it printed (%v)\n%s", err, out)
	}
	t.Setenv("OPENAI_API_KEY", "wrong")
	if _, err := execute(t, "--url", f.url, "--tasks", "copa", "--data", dir); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("with a wrong key: %v", err)
	}
}
