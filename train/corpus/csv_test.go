package corpus

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestCSV has records of every form, and damaged ones between them.
func TestCSV(t *testing.T) {
	data := []byte("\ufeffid,text\r\n1,plain\r\n\n2,\"of \"\"two\"\"\nlines, with a comma\"\n3,a,b\n4,a \"quote\"\n5,\"not \"doubled\"\n6,\xff\n7,\"\"\n8,last")
	for name, data := range map[string][]byte{"a.csv": data, "a.csv.gz": gzipped(data), "a.csv.zst": zstded(data)} {
		var lines []int
		var bad *DocumentError
		texts, failed := collect(write(t, name, data), "text")
		for _, err := range failed {
			if !errors.As(err, &bad) {
				t.Fatalf("%s: %v ends the file", name, err)
			}
			lines = append(lines, bad.Line)
		}
		if want := []string{"plain", "of \"two\"\nlines, with a comma", "", "last"}; !slices.Equal(texts, want) {
			t.Errorf("%s: %q, want %q", name, texts, want)
		}
		if want := []int{6, 7, 8, 9}; !slices.Equal(lines, want) {
			t.Errorf("%s: bad lines %v, want %v", name, lines, want)
		}
	}
}

func TestCSVObjects(t *testing.T) {
	texts, failed := collect(write(t, "a.csv", []byte("question,answer\nWhy?,\"So, there.\"\n")), "")
	if want := []string{`{"answer":"So, there.","question":"Why?"}`}; len(failed) > 0 || !slices.Equal(texts, want) {
		t.Errorf("%q, %v", texts, failed)
	}
}

func TestCSVRefuses(t *testing.T) {
	for data, want := range map[string]string{"": "names of its columns", "a,b\n1,2\n": `no column "text"`, "\"text\n1": "not closed"} {
		texts, failed := collect(write(t, "a.csv", []byte(data)), "text")
		if len(texts) > 0 || len(failed) != 1 || !strings.Contains(failed[0].Error(), want) {
			t.Errorf("%q: %q, %v, want %q", data, texts, failed, want)
		}
	}
}

// TestCSVLong: lines and quoted fields beyond the bound cost only themselves, and no memory.
func TestCSVLong(t *testing.T) {
	line := strings.Repeat("x", 1<<20-1) + "\n"
	long := func(begin, middle, end string) []io.Reader {
		parts := []io.Reader{strings.NewReader(begin)}
		for range MaxDocument>>20 + 1 {
			parts = append(parts, strings.NewReader(middle))
		}
		return append(parts, strings.NewReader(end))
	}
	in := append([]io.Reader{strings.NewReader("text\n")}, long("", line[1:len(line)-1], "\n")...)
	in = append(in, long("\"", line, "\"\nok\n")...)
	var texts []string
	failed := 0
	records("a.csv", "text", io.MultiReader(in...), func(d Document, err error) bool {
		if texts = append(texts, d.Text); err != nil {
			failed++
		}
		return true
	})
	if failed != 2 || len(texts) != 3 || texts[2] != "ok" {
		t.Errorf("%d records, %d bad ones", len(texts), failed)
	}
}

// FuzzCSV compares with the standard library's reader, whatever lines both find damaged.
func FuzzCSV(f *testing.F) {
	f.Add([]byte("text,b\n1,\"2\"\"\r\n\"\n\n3,4"))
	f.Add([]byte("text\n\"\""))
	f.Add([]byte("a,\"b\nc"))
	f.Fuzz(func(t *testing.T, data []byte) {
		standard := csv.NewReader(bytes.NewReader(data))
		want, bad := standard.ReadAll()
		var got [][]string
		r := &csvReader{in: bufio.NewReader(bytes.NewReader(data))}
		for {
			_, err := r.next()
			if err == io.EOF {
				break
			}
			if (err != nil || len(got) > 0 && len(r.ends) != len(got[0])) && bad == nil {
				t.Fatalf("%v, where the standard library finds no damage", err)
			}
			record := make([]string, 0, len(r.ends))
			for i := range r.ends {
				record = append(record, string(r.field(i)))
			}
			got = append(got, record)
		}
		if bad == nil && fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}
