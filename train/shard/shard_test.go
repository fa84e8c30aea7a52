package shard

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type doc struct {
	ids     []int32
	learned []bool
}

func randomDocs(random *rand.Rand, n, vocab int, masked bool) []doc {
	docs := make([]doc, n)
	for i := range docs {
		for range 1 + random.IntN(40) {
			docs[i].ids = append(docs[i].ids, int32(random.IntN(vocab)))
		}
		if masked && i%3 > 0 { // the first has none: bits begin in the midst
			for range docs[i].ids {
				docs[i].learned = append(docs[i].learned, random.IntN(2) == 0)
			}
		}
	}
	return docs
}

func write(t *testing.T, docs []doc, vocab int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.shard")
	w, err := Create(path, vocab, "fingerprint")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if err := w.Add(d.ids, d.learned, 3*len(d.ids)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, vocab := range []int{5, 1 << 16, 1<<16 + 1, 200000} {
		for _, masked := range []bool{false, true} {
			docs := randomDocs(random, 300, vocab, masked)
			s, err := Open(write(t, docs, vocab))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Verify(); err != nil {
				t.Error(err)
			}
			for i, d := range docs {
				ids, learned := s.Read(i, 0, s.Len(i), nil, nil)
				if !slices.Equal(ids, d.ids) {
					t.Fatalf("document %d is %v, want %v", i, ids, d.ids)
				}
				for k, l := range learned {
					if want := d.learned == nil || d.learned[k]; l != want {
						t.Fatalf("token %d of document %d: learned %v, want %v", k, i, l, want)
					}
				}
			}
		}
	}
}

// TestDamage flips each of some bytes: opening or verifying names the file.
func TestDamage(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	path := write(t, randomDocs(random, 50, 300, true), 300)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(whole); at += 1 + random.IntN(20) {
		torn := bytes.Clone(whole)
		torn[at] ^= 1 << random.IntN(8)
		if err := verify(t, torn); err == nil || !strings.Contains(err.Error(), "torn.shard") {
			t.Errorf("with byte %d flipped: %v", at, err)
		}
		if err := verify(t, whole[:at]); err == nil {
			t.Errorf("cut at byte %d it is taken for whole", at)
		}
	}
}

func verify(t *testing.T, data []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "torn.shard")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Verify()
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(filepath.Join(dir, "a.shard"), 10, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add([]int32{10}, nil, 0); err == nil {
		t.Error("a token outside the vocabulary is taken")
	}
	w.Abort()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func FuzzOpen(f *testing.F) {
	h := Header{Version: version, Vocab: 10, Tokens: 1, Documents: 1}
	head, err := h.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(head, make([]byte, 2+8+64)...))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			return
		}
		defer s.Close()
		_ = s.Verify() // must not panic
		for d := range s.Documents() {
			s.Read(d, 0, s.Len(d), nil, nil)
		}
	})
}
