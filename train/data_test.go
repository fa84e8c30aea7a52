package train

import (
	"fmt"
	"io/fs"
	"maps"
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

// TestDataDoesNotDependOnThreads compares the bytes of the shards, with documents of many
// sizes, duplicates, and damaged lines that are passed over.
func TestDataDoesNotDependOnThreads(t *testing.T) {
	_, tokenizer := testData(t)
	text := filepath.Join(t.TempDir(), "many.jsonl")
	var lines strings.Builder
	for i := range 400 {
		switch {
		case i%50 == 49:
			lines.WriteString("{\n")
		default:
			fmt.Fprintf(&lines, "{\"text\": %q}\n", strings.Repeat(fmt.Sprintf("Fox %d sat there. ", i%150), i%37))
		}
	}
	if err := os.WriteFile(text, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	for _, threads := range []string{"1", "2", "5"} {
		out := filepath.Join(t.TempDir(), "data")
		command(t, "data", "--tokenizer", tokenizer, "--out", out, "--valid", "0.2", "--policy", "skip", "--shard-tokens", "2000", "--threads", threads, text)
		got := folder(t, out)
		if want == nil {
			want = got
		}
		if len(got) < 4 || !maps.Equal(got, want) {
			t.Errorf("%s threads write %d files, other than one thread's", threads, len(got))
		}
	}
}

// folder reads all files below dir.
func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestDataRefusesThreads(t *testing.T) {
	if _, err := try("data", "--tokenizer", "a", "--out", "b", "--threads", "-1", "c.txt"); err == nil || !strings.Contains(err.Error(), "--threads is -1") {
		t.Errorf("error %v", err)
	}
}
