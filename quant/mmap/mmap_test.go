package mmap

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{"", "some bytes"} {
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(f.Bytes()) != want {
			t.Errorf("mapped %q, want %q", f.Bytes(), want)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
	}
	if _, err := Open(dir); err == nil {
		t.Error("a folder is mapped")
	}
	if _, err := Open(filepath.Join(dir, "absent")); err == nil {
		t.Error("an absent file is mapped")
	}
}

func TestAlloc(t *testing.T) {
	b, err := Alloc(5000)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		if b[i] != 0 {
			t.Fatalf("byte %d is %d", i, b[i])
		}
		b[i] = 1
	}
	if err := Free(b[:10]); err != nil {
		t.Error(err)
	}
	if err := Free(nil); err != nil {
		t.Error(err)
	}
}
