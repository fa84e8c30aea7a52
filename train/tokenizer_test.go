package train

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// TestTrainTokenizer goes from text to a tokenizer to shards to a model that is trained
// with it, and checks that the directory and the model give the same ids.
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
	a, err := tokenizer.Open(filepath.Join(tok, "tokenizer.json"), "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := tokenizer.Open(filepath.Join(out, "model"), "")
	if err != nil {
		t.Fatal(err)
	}
	ids := a.Encode(nil, sentence, tokenizer.EncodeOptions{})
	if !slices.Equal(ids, b.Encode(nil, sentence, tokenizer.EncodeOptions{})) || len(ids) > len(sentence)/2 {
		t.Errorf("%d ids of the directory, other ones of the model", len(ids))
	}
	if a.EOS() != 0 || b.EOS() != 0 {
		t.Errorf("the end is token %d in the directory, %d in the model, want 0", a.EOS(), b.EOS())
	}
	src := opened(t, filepath.Join(out, "model"))
	defer src.Close()
	if src.Meta().String("tokenizer.chat_template", "") != chatML {
		t.Error("the model has not the tokenizer's chat template")
	}
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
		"the chat template": {"tokenizer", "--out", t.TempDir(), "--chat-template", text + ".absent", text},
		"cannot read":       {"tokenizer", "--out", t.TempDir(), text + ".absent"},
	} {
		if out, err := try(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q\n%s", args, err, want, out)
		}
	}
}
