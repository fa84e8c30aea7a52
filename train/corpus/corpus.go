// Package corpus reads documents from files of text: .txt (one document a file), .jsonl
// (one object a line, its text in a field) and .csv (one a record, its text in a column),
// plain or packed with gzip (.gz) or Zstandard (.zst), and .parquet (one a row). A file is
// streamed: memory holds one document, of Parquet a page of each column.
package corpus

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// MaxDocument bounds a document: the longest book has some 20 MB.
const MaxDocument = 64 << 20

// Document is a text and where it stands.
type Document struct {
	Text string
	Line int // in its file, from 1; of Parquet the row
}

// DocumentError is a document that cannot be used; the file's others can.
type DocumentError struct {
	Path string
	Line int
	Err  error
}

func (e *DocumentError) Error() string {
	place := "line"
	if isParquet(e.Path) {
		place = "row"
	}
	return fmt.Sprintf("%s, %s %d: %v", e.Path, place, e.Line, e.Err)
}

// Unwrap returns what is wrong with it.
func (e *DocumentError) Unwrap() error { return e.Err }

// formats are those that may be packed, by the extension, and how they are read.
var formats = map[string]func(path, field string, in io.Reader, yield func(Document, error) bool){
	".txt": whole, ".jsonl": lines, ".csv": records,
}

// kinds names what can be read.
const kinds = ".txt, .jsonl or .csv, plain, .gz or .zst, or .parquet"

// Files returns the files of paths, and of the folders among them those that Read reads,
// sorted. A path that gives none is an error.
func Files(paths ...string) ([]string, error) {
	var all []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read the corpus: %w", err)
		}
		if !info.IsDir() {
			if !readable(path) {
				return nil, fmt.Errorf("cannot read %q: want %s", path, kinds)
			}
			all = append(all, path)
			continue
		}
		n := len(all)
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read the corpus: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() && readable(e.Name()) {
				all = append(all, filepath.Join(path, e.Name()))
			}
		}
		if len(all) == n {
			return nil, fmt.Errorf("the folder %q has no file to read: want %s", path, kinds)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func readable(path string) bool { return formats[form(path)] != nil || isParquet(path) }

// IsText reports whether a file is one document, as it stands.
func IsText(path string) bool { return form(path) == ".txt" }

func isParquet(path string) bool { return filepath.Ext(path) == ".parquet" }

// form returns the extension without that of the packing.
func form(path string) string {
	return filepath.Ext(strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".zst"))
}

// Read gives the documents of the file at path, with field naming the text of a line's
// object, or the column of it; "" gives the lines as they are, and records and rows as the
// JSON object of their texts. An error of one document is a *DocumentError, after which the
// next follows; any other ends the file. read, which may be nil, is told the bytes read of
// the file.
func Read(path, field string, read func(n int64)) iter.Seq2[Document, error] {
	if read == nil {
		read = func(int64) {}
	}
	return func(yield func(Document, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Document{}, fmt.Errorf("cannot read the corpus: %w", err))
			return
		}
		defer f.Close()
		if isParquet(path) {
			rows(path, field, f, read, yield)
			return
		}
		in, err := unpack(path, &counted{f, read})
		if err != nil {
			yield(Document{}, fmt.Errorf("cannot read %q: %w", path, err))
			return
		}
		defer in.Close()
		formats[form(path)](path, field, in, yield)
	}
}

type counted struct {
	in   io.Reader
	read func(n int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.read(int64(n))
	return n, err
}

func unpack(path string, in io.Reader) (io.ReadCloser, error) {
	switch filepath.Ext(path) {
	case ".gz":
		return gzip.NewReader(in)
	case ".zst":
		d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(in), nil
}

// whole gives a file as one document.
func whole(path, _ string, in io.Reader, yield func(Document, error) bool) {
	text, err := io.ReadAll(io.LimitReader(in, MaxDocument+1))
	if err != nil {
		yield(Document{}, fmt.Errorf("cannot read %q: %w", path, err))
		return
	}
	if err := check(text); err != nil {
		yield(Document{}, &DocumentError{path, 1, err})
		return
	}
	yield(Document{string(text), 1}, nil)
}

func check(text []byte) error {
	switch {
	case len(text) > MaxDocument:
		return fmt.Errorf("a document of more than %d MiB", MaxDocument>>20)
	case !utf8.Valid(text):
		return errors.New("the text is not UTF-8")
	}
	return nil
}
