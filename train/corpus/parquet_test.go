package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestParquet reads files of testdata/some.py, written by pyarrow: three row groups of many
// pages, with the first and the second form of pages.
func TestParquet(t *testing.T) {
	for _, name := range []string{"snappy", "zstd"} {
		var lines []int
		read := int64(0)
		path := filepath.Join("testdata", name+".parquet")
		for doc, err := range Read(path, "text", func(n int64) { read += n }) {
			want := fmt.Sprintf("Row %d: é, \"quoted\"\n%s", doc.Line-1, strings.Repeat("x", (doc.Line-1)%5))
			switch lines = append(lines, doc.Line); {
			case doc.Line == 8:
				if err == nil || !strings.Contains(err.Error(), "row 8: the column \"text\" has no text") {
					t.Errorf("%s: %v", name, err)
				}
			case err != nil || doc.Text != want && (doc.Line != 9 || doc.Text != ""):
				t.Errorf("%s, row %d: %q, %v", name, doc.Line, doc.Text, err)
			}
		}
		info, err := os.Stat(path)
		if err != nil || len(lines) != 300 || lines[299] != 300 || read != info.Size() {
			t.Errorf("%s: %d rows, %d bytes, %v", name, len(lines), read, err)
		}
		texts, failed := collect(path, "source")
		if len(texts) != 300 || texts[299] != "s2" || len(failed) > 0 {
			t.Errorf("%s: sources %q, %v", name, texts, failed)
		}
		for field, want := range map[string]string{"id": "holds no text", "tags": "holds no text", "": `"tags" is nested`, "body": `no column "body"`} {
			if _, failed := collect(path, field); len(failed) != 1 || !strings.Contains(failed[0].Error(), want) {
				t.Errorf("%s, field %q: %v", name, field, failed)
			}
		}
	}
}

type chatRow struct {
	Question string  `parquet:"question,snappy"`
	Answer   *string `parquet:"answer,optional,dict"`
	Votes    int     `parquet:"votes"`
}

// chatFile returns a file of n rows in groups of 100.
func chatFile(t testing.TB, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[chatRow](&out, parquet.MaxRowsPerRowGroup(100), parquet.PageBufferSize(200))
	yes, bad := "yes", "\xff"
	for i := range n {
		row := chatRow{Question: fmt.Sprintf("Is it %d?", i), Answer: &yes}
		switch i {
		case 1:
			row.Answer = nil
		case 2:
			row.Answer = &bad
		}
		if _, err := w.Write([]chatRow{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestParquetObjects(t *testing.T) {
	texts, failed := collect(write(t, "a.parquet", chatFile(t, 4)), "")
	want := []string{`{"answer":"yes","question":"Is it 0?"}`, `{"question":"Is it 1?"}`, `{"answer":"yes","question":"Is it 3?"}`}
	if !slices.Equal(texts, want) || len(failed) != 1 || !strings.Contains(failed[0].Error(), "row 3: the text is not UTF-8") {
		t.Errorf("%q, %v", texts, failed)
	}
}

// TestParquetDamaged reads files that are cut or have other bits: what is read are rows or
// errors, and never more rows than there were.
func TestParquetDamaged(t *testing.T) {
	whole := chatFile(t, 400)
	path := filepath.Join(t.TempDir(), "a.parquet")
	random := rand.New(rand.NewPCG(1, 2))
	ended := 0
	for i := range 1500 {
		data := slices.Clone(whole)
		if i%10 == 0 {
			data = data[:random.IntN(len(data))]
		}
		for range 1 + i%3 {
			if len(data) > 0 {
				data[random.IntN(len(data))] ^= 1 << random.IntN(8)
			}
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		var bad *DocumentError
		_, failed := collect(path, "question")
		if len(failed) > 0 && !errors.As(failed[len(failed)-1], &bad) {
			ended++
		}
	}
	if ended < 150 {
		t.Errorf("only %d of 1500 damaged files are said to be", ended)
	}
}

func FuzzParquet(f *testing.F) {
	f.Add(chatFile(f, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a.parquet")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"question", ""} {
			n := 0
			for range Read(path, field, nil) {
				if n++; n > 1000 {
					break // rows may be repeated without end in few bytes
				}
			}
		}
	})
}
