package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

func TestTokenizerCommand(t *testing.T) {
	vocab := quanttest.Shared(t, "data", "tokenizers", "ggml-vocab", "ggml-vocab-gpt-2.gguf")
	tok, err := tokenizer.Open(vocab, "")
	if err != nil {
		t.Fatal(err)
	}
	text := "The quick brown fox — 1234 times.\n"
	file := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := command("bench", "tokenizer", "--model", vocab, "--file", file, "--repeat", "2", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var r tokenizerResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	if want := len(tok.Encode(nil, text, tokenizer.EncodeOptions{})); r.Tokens != want || r.Bytes != len(text) || r.Tokenizer != filepath.Base(vocab) {
		t.Errorf("got %+v, want %d bytes and %d tokens", r, len(text), want)
	}
	if r.EncodeMBs <= 0 || r.TokS <= 0 || r.DecodeNS <= 0 {
		t.Errorf("a speed is missing: %+v", r)
	}
	table, _, err := command("bench", "tokenizer", "--model", vocab, "--file", file)
	if err != nil || !strings.Contains(table, "MB/s") || !strings.Contains(table, "ns/token") {
		t.Errorf("got %q, %v", table, err)
	}
}

func TestTokenizerCommandRefuses(t *testing.T) {
	vocab := quanttest.Shared(t, "data", "tokenizers", "ggml-vocab", "ggml-vocab-gpt-2.gguf")
	empty := filepath.Join(t.TempDir(), "empty.txt")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{}, {"--model", vocab}, {"--model", vocab, "--file", empty}, {"--model", empty, "--file", vocab},
		{"--model", vocab, "--file", "absent.txt"}, {"--model", vocab, "--file", empty, "--repeat", "0"},
	} {
		if out, _, err := command(append([]string{"bench", "tokenizer"}, args...)...); err == nil {
			t.Errorf("%v gives %q", args, out)
		}
	}
}
