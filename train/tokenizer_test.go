package train

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// TestTrainTokenizer goes from text to a tokenizer to shards to a model that is trained
// with it, and on to GGUF, and checks that ingot tokenize gives the same ids with each.
func TestTrainTokenizer(t *testing.T) {
	text, tok := filepath.Join(t.TempDir(), "a.txt"), filepath.Join(t.TempDir(), "tok")
	sentence := "Once upon a time there was a crow who found a piece of cheese.\n"
	if err := os.WriteFile(text, []byte(strings.Repeat(sentence, 50)), 0o644); err != nil {
		t.Fatal(err)
	}
	printed := command(t, "tokenizer", "--vocab-size", "300", "--out", tok, text)
	if !strings.Contains(printed, "bytes a token") {
		t.Errorf("printed %q", printed)
	}
	data, out := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "run")
	command(t, "data", "--tokenizer", tok, "--out", data, "--valid", "0", text)
	command(t, pretrainArgs(data, tok, out, 1, 3)...)
	model, gguf := filepath.Join(out, "model"), filepath.Join(out, "model.gguf")
	if err := ingot(nil, io.Discard, "convert", model, gguf); err != nil {
		t.Fatal(err)
	}
	var want string
	for _, place := range []string{tok, filepath.Join(tok, "tokenizer.json"), model, gguf} {
		got := tokenized(t, place, sentence+"<|im_end|> «naïve» 123 \x00\x7f")
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%s gives %s\n%s gives %s", place, got, tok, want)
		}
		if a, err := tokenizer.Open(place, ""); err != nil || a.EOS() != 0 {
			t.Errorf("the end is token %d in %q, want 0 (%v)", a.EOS(), place, err)
		}
	}
	src := opened(t, filepath.Join(out, "model"))
	defer src.Close()
	if src.Meta().String("tokenizer.chat_template", "") != chatML {
		t.Error("the model has not the tokenizer's chat template")
	}
}

// ingot runs a command of package cli.
func ingot(in io.Reader, out io.Writer, args ...string) error {
	root := cli.Group("ingot", "", "")
	root.AddCommand(cli.Commands()...)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(io.Discard)
	return cli.Execute(context.Background(), root, args)
}

// tokenized is what ingot tokenize prints.
func tokenized(t *testing.T, model, text string) string {
	t.Helper()
	var out strings.Builder
	if err := ingot(strings.NewReader(text), &out, "tokenize", "--model", model); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestTokenizerUsage: what is wrong with a command line is named.
func TestTokenizerUsage(t *testing.T) {
	text := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(text, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"needs --out":       {"tokenizer", text},
		"no pre-tokenizer":  {"tokenizer", "--out", t.TempDir(), "--pre", "none", text},
		"is too small":      {"tokenizer", "--out", t.TempDir(), "--vocab-size", "100", text},
		"none of --special": {"tokenizer", "--out", t.TempDir(), "--eos", "<|end|>", text},
		"--threads is -1":   {"tokenizer", "--out", t.TempDir(), "--threads", "-1", text},
		"is given twice":    {"tokenizer", "--out", t.TempDir(), "--special", "<a>,<a>", "--eos", "<a>", text},
		"the chat template": {"tokenizer", "--out", t.TempDir(), "--chat-template", text + ".absent", text},
		"cannot read":       {"tokenizer", "--out", t.TempDir(), text + ".absent"},
	} {
		if out, err := try(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q\n%s", args, err, want, out)
		}
	}
}

// TestTokenizerReport: the bytes a token are those of encoding the text.
func TestTokenizerReport(t *testing.T) {
	file, out := filepath.Join(t.TempDir(), "a.txt"), filepath.Join(t.TempDir(), "tok")
	text := strings.Repeat("The crow sang, the fox listened; naïve crow!\n\n", 40)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var r tokenizerReport
	if err := json.Unmarshal([]byte(command(t, "tokenizer", "--vocab-size", "290", "--out", out, "--json", file)), &r); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Open(out, "")
	if err != nil {
		t.Fatal(err)
	}
	ids := tok.Encode(nil, text, tokenizer.EncodeOptions{})
	if r.Bytes != int64(len(text)) || r.Output != int64(len(ids)) || r.Tokens != tok.Vocab() || r.Tokens != 290 {
		t.Errorf("report %+v; the text has %d bytes and becomes %d tokens of %d", r, len(text), len(ids), tok.Vocab())
	}
	// Of the pairs that occur twice a line, c r has the lowest ids.
	if len(r.Merges) != shownMerges || r.Merges[0] != (mergeLine{"c", "r", 80}) {
		t.Errorf("first merges %v", r.Merges)
	}
}

// TestTokenizerDoesNotDependOnFiles: one file or its lines in several, with one thread or
// four, give the same bytes.
func TestTokenizerDoesNotDependOnFiles(t *testing.T) {
	dir := t.TempDir()
	var whole strings.Builder
	var names []string
	for i := range 6 {
		var part strings.Builder
		for j := range 30 {
			fmt.Fprintf(&part, "{\"text\": \"Line %d of file %d says %s.\"}\n", j, i, strings.Repeat("wow ", (i*j)%5))
		}
		whole.WriteString(part.String())
		names = append(names, filepath.Join(dir, fmt.Sprintf("part%d.jsonl", 9-i)))
		if err := os.WriteFile(names[i], []byte(part.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	one := filepath.Join(dir, "whole.jsonl")
	if err := os.WriteFile(one, []byte(whole.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	command(t, "tokenizer", "--vocab-size", "320", "--threads", "1", "--out", a, one)
	command(t, append([]string{"tokenizer", "--vocab-size", "320", "--threads", "4", "--out", b}, names...)...)
	if got, want := folder(t, b), folder(t, a); len(want) != 2 || !maps.Equal(got, want) {
		t.Errorf("six files give another tokenizer than one")
	}
}
