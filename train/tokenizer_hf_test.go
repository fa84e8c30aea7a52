package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// qwen2 and gpt2 are the patterns of these pre-tokenizers, for Hugging Face's trainer.
const (
	gpt2  = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	qwen2 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// TestHuggingFace has Hugging Face's libraries train on the same documents and read our
// files: merges, vocabulary, ids, texts and the chat template are the same. INGOT_PYTHON
// names a Python that has them; the default is python3.
func TestHuggingFace(t *testing.T) {
	python := pythonWith(t, "tokenizers", "transformers", "jinja2")
	for pre, pattern := range map[string]string{"gpt-2": gpt2, "qwen2": qwen2} {
		t.Run(pre, func(t *testing.T) { checkHuggingFace(t, python, pre, pattern) })
	}
}

// pythonWith returns a Python that has some modules, or skips the test.
func pythonWith(t *testing.T, modules ...string) string {
	python := os.Getenv("INGOT_PYTHON")
	if python == "" {
		python = "python3"
	}
	if out, err := exec.Command(python, "-c", "import "+strings.Join(modules, ", ")).CombinedOutput(); err != nil {
		t.Skipf("%s lacks one of the modules %s (pip install them; INGOT_PYTHON names another): %s", python, strings.Join(modules, ", "), lastLine(out))
	}
	return python
}

func checkHuggingFace(t *testing.T, python, pre, pattern string) {
	file, out := filepath.Join(t.TempDir(), "a.jsonl"), filepath.Join(t.TempDir(), "tok")
	docs := madeUpTexts(300)
	var lines bytes.Buffer
	for _, d := range docs {
		line, err := json.Marshal(map[string]string{"text": d})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	if err := os.WriteFile(file, lines.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "tokenizer", "--vocab-size", "700", "--pre", pre, "--out", out, file)
	tok, err := tokenizer.Open(out, "")
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	for _, text := range append(docs[:20:20], "", " ", "\n\n  x", "Zürich's 12345 «naïve» 🦢 cafés,\tHE'LL", "日本語 и русский") {
		rows = append(rows, map[string]any{"text": text, "ids": tok.Encode([]int32{}, text, tokenizer.EncodeOptions{})})
	}
	job, err := json.Marshal(map[string]any{"documents": docs, "rows": rows, "patterns": []string{pattern}, "vocab_size": 700,
		"min_frequency": 2, "special": []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-B", filepath.Join("testdata", "tokenizer.py"), out)
	cmd.Stdin = bytes.NewReader(job)
	if printed, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, printed)
	}
}

// madeUpTexts are sentences of made-up words in several scripts, with numbers and rows
// of spaces.
func madeUpTexts(n int) (docs []string) {
	r := rand.New(rand.NewPCG(5, 6))
	syllables := []string{"ka", "lo", "mir", "the", "ß", "né", "до", "猫", "'s", "ing", "st", "E"}
	var words []string
	for range 200 {
		var w strings.Builder
		for range 1 + r.IntN(4) {
			w.WriteString(syllables[r.IntN(len(syllables))])
		}
		words = append(words, w.String())
	}
	for range n {
		var d strings.Builder
		for range 5 + r.IntN(60) {
			d.WriteString(words[min(r.IntN(200), r.IntN(200))])
			d.WriteString([]string{" ", " ", " ", ", ", ".\n", "  ", fmt.Sprintf(" %d ", r.IntN(3000))}[r.IntN(7)])
		}
		docs = append(docs, d.String())
	}
	return docs
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
