package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDataRefusesUsedFolder: shards of an earlier run would be trained on beside the new
// ones, since training takes all that lie in the folder.
func TestDataRefusesUsedFolder(t *testing.T) {
	data, tokenizer := testData(t)
	text := filepath.Join(t.TempDir(), "other.txt")
	if err := os.WriteFile(text, []byte("Another text."), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := try("data", "--tokenizer", tokenizer, "--out", data, "--valid", "0", text)
	if err == nil || !strings.Contains(err.Error(), "shards of an earlier run") {
		t.Errorf("a folder with shards is written to: %v", err)
	}
}
