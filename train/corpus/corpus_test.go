package corpus

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(data)
	_ = w.Close()
	return out.Bytes()
}

func zstded(data []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(data, nil)
}

// collect returns the documents and the errors as text.
func collect(path, field string) (texts []string, failed []error) {
	for doc, err := range Read(path, field, nil) {
		if err != nil {
			failed = append(failed, err)
			continue
		}
		texts = append(texts, doc.Text)
	}
	return texts, failed
}

func TestRead(t *testing.T) {
	jsonl := []byte("{\"text\":\"a\\nb\",\"x\":1}\n\n{\"x\":2}\n{\"text\":3}\nno json\n{\"text\":\"\\u00e9\"}\n{\"text\":\"bad \xff\"}\n{\"text\":\"last\"}")
	for name, data := range map[string][]byte{"a.jsonl": jsonl, "a.jsonl.gz": gzipped(jsonl), "a.jsonl.zst": zstded(jsonl)} {
		texts, failed := collect(write(t, name, data), "text")
		if want := []string{"a\nb", "é", "last"}; !slices.Equal(texts, want) {
			t.Errorf("%s: %q, want %q", name, texts, want)
		}
		var at []int
		for _, err := range failed {
			var bad *DocumentError
			if !errors.As(err, &bad) {
				t.Errorf("%s: %v ends the file", name, err)
				continue
			}
			at = append(at, bad.Line)
		}
		if want := []int{3, 4, 5, 7}; !slices.Equal(at, want) {
			t.Errorf("%s: bad lines %v, want %v", name, at, want)
		}
	}
	if texts, failed := collect(write(t, "a.txt", []byte("one\ntwo")), "text"); len(failed) > 0 || !slices.Equal(texts, []string{"one\ntwo"}) {
		t.Errorf("%q, %v", texts, failed)
	}
}

// TestTorn: a packed file that ends early gives what comes before, and an error.
func TestTorn(t *testing.T) {
	var lines bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&lines, "{\"text\":\"number %d\"}\n", i*i)
	}
	packed := gzipped(lines.Bytes())
	texts, failed := collect(write(t, "a.jsonl.gz", packed[:len(packed)/2]), "text")
	if len(texts) == 0 || len(failed) != 1 || !strings.Contains(failed[0].Error(), "a.jsonl.gz") {
		t.Errorf("%d texts, %v", len(texts), failed)
	}
}

// TestLongLine: a line beyond the bound costs only itself.
func TestLongLine(t *testing.T) {
	data := append([]byte(`{"text":"`), bytes.Repeat([]byte("x"), MaxDocument+10)...)
	data = append(data, []byte("\"}\n{\"text\":\"ok\"}\n")...)
	texts, failed := collect(write(t, "a.jsonl", data), "text")
	if len(failed) != 1 || !slices.Equal(texts, []string{"ok"}) {
		t.Errorf("%d texts, %v", len(texts), failed)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.jsonl.gz", "a.txt", "c.bin"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Files(dir, filepath.Join(dir, "a.txt"))
	if want := []string{filepath.Join(dir, "a.txt"), filepath.Join(dir, "b.jsonl.gz")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, path := range []string{filepath.Join(dir, "c.bin"), t.TempDir(), filepath.Join(dir, "absent")} {
		if _, err := Files(path); err == nil {
			t.Errorf("%s: accepted", path)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("{\"text\":\"a\"}\n{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a.jsonl")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		texts, _ := collect(path, "text")
		if len(texts) > bytes.Count(data, []byte("\n"))+1 {
			t.Errorf("%d texts from %d lines", len(texts), bytes.Count(data, []byte("\n"))+1)
		}
	})
}
