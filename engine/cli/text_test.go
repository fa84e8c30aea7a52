package cli

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant/quanttest"
)

// TestTokenize: ids of llama2.c's own tokenizer, both ways.
func TestTokenize(t *testing.T) {
	m := stories(t)
	check := func(stdin, want string, args ...string) {
		t.Helper()
		if got := succeed(t, stdin, append([]string{"tokenize", "--model", m}, args...)...); got != want {
			t.Errorf("tokenize %v of %q gives %q, want %q", args, stdin, got, want)
		}
	}
	const ids, text = `{"ids":[1,403,407,261,378]}`, "Once upon a time"
	check(text, ids+"\n")
	check(text, `{"ids":[403,407,261,378]}`+"\n", "--no-special")
	check(`{"text":"Once upon a time"}`+"\n"+`{"text":""}`+"\n", ids+"\n"+`{"ids":[1]}`+"\n", "--jsonl")
	check(`{"ids":[403,407,261,378]}`, text, "--decode", "--skip-special")
	check(ids, `{"text":"Once upon a time"}`+"\n", "--decode", "--jsonl", "--skip-special")
	o := command(`{"ids":[512]}`, "tokenize", "--model", m, "--decode")
	if ExitCode(o.fault) != 1 || !strings.Contains(o.fault.Error(), "512") {
		t.Errorf("an id out of range gives %v", o.fault)
	}
}

func TestTokenizeTiktoken(t *testing.T) {
	file := quanttest.Shared(t, "data", "tokenizers", "tiktoken")
	entries, err := os.ReadDir(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "r50k") && strings.Contains(e.Name(), ".tiktoken") {
			file += "/" + e.Name()
			break
		}
	}
	for _, args := range [][]string{nil, {"--pattern", "r50k"}} {
		// The ids of GPT-2, as OpenAI's cookbook shows them.
		got := succeed(t, "tiktoken is great!", append([]string{"tokenize", "--model", file}, args...)...)
		if want := `{"ids":[83,1134,30001,318,1049,0]}` + "\n"; got != want {
			t.Errorf("%v: %q, want %q", args, got, want)
		}
	}
}

// TestRender: one template's goldens, exactly, and the messages of those that raise.
func TestRender(t *testing.T) {
	const name = "Qwen-Qwen2.5-7B-Instruct.jinja"
	template := quanttest.Shared(t, "data", "chat-templates", name)
	f, err := os.Open(quanttest.Shared(t, "data", "chat-templates", "golden.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rendered := 0
	for s := bufio.NewReader(z); ; {
		line, err := s.ReadBytes('\n')
		if len(line) == 0 && err != nil {
			break
		}
		var g struct {
			Template, Case, Expected, Raises string
			Context                          json.RawMessage
		}
		if err := json.Unmarshal(line, &g); err != nil {
			t.Fatal(err)
		}
		if g.Template == name && g.Expected != "" {
			rendered++
			if got := succeed(t, string(g.Context), "render", "--template", template, "--now", "2025-01-15 12:00:00"); got != g.Expected {
				t.Errorf("%s: %q, want %q", g.Case, got, g.Expected)
			}
		}
	}
	if rendered < 5 {
		t.Errorf("only %d goldens of %s", rendered, name)
	}
}

func TestRenderRaises(t *testing.T) {
	file := t.TempDir() + "/raise.jinja"
	if err := os.WriteFile(file, []byte(`{{ raise_exception("no tools here") }}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := command("{}", "render", "--template", file)
	if ExitCode(o.fault) != 1 || !strings.Contains(o.fault.Error(), "no tools here") || o.out != "" {
		t.Errorf("a template that raises gave %q, %v", o.out, o.fault)
	}
	if o = command("[", "render", "--template", file); o.fault == nil || errors.As(o.fault, new(*UsageError)) {
		t.Errorf("a context that is no JSON gave %v", o.fault)
	}
}
