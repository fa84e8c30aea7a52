package tokenizer

import (
	"path/filepath"
	"testing"

	"github.com/ingot-llm/ingot/quant/builtin"
)

// TestOpenBuiltin: the built-in model's name is one of a tokenizer; another that is no
// file is refused by name.
func TestOpenBuiltin(t *testing.T) {
	tok, err := Open(builtin.Name, "")
	if err != nil {
		t.Fatal(err)
	}
	const text = "Once upon a time there was a fox."
	if got := tok.Decode(tok.Encode(nil, text, EncodeOptions{}), false); got != text {
		t.Errorf("%q comes back as %q", text, got)
	}
	_, err = Open(filepath.Join(t.TempDir(), "nothing"), "")
	mustRefuse(t, "no file", err, "nothing", "no such file")
}
