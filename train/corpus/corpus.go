// Package corpus reads documents from files of text: .txt (one document a file) and
// .jsonl (one object a line, its text in a field), plain or packed with gzip (.gz) or
// Zstandard (.zst). A file is streamed: memory holds one document.
package corpus

import (
	"bufio"
	"bytes"
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

	"github.com/bytedance/sonic"
	"github.com/klauspost/compress/zstd"
)

// MaxDocument bounds a document: the longest book has some 20 MB.
const MaxDocument = 64 << 20

// Document is a text and where it stands.
type Document struct {
	Text string
	Line int // in its file, from 1
}

// DocumentError is a document that cannot be used; the file's others can.
type DocumentError struct {
	Path string
	Line int
	Err  error
}

func (e *DocumentError) Error() string { return fmt.Sprintf("%s, line %d: %v", e.Path, e.Line, e.Err) }

// Unwrap returns what is wrong with it.
func (e *DocumentError) Unwrap() error { return e.Err }

var extensions = []string{".txt", ".jsonl"}

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
				return nil, fmt.Errorf("cannot read %q: want .txt or .jsonl, plain, .gz or .zst", path)
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
			return nil, fmt.Errorf("the folder %q has no .txt or .jsonl file, plain, .gz or .zst", path)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func readable(path string) bool { return slices.Contains(extensions, form(path)) }

// form returns the extension without that of the packing.
func form(path string) string {
	return filepath.Ext(strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".zst"))
}

// Read gives the documents of the file at path, with field naming the text of a line's
// object; "" gives the lines as they are. An error of one document is a *DocumentError, after which the next follows;
// any other ends the file. read, which may be nil, is told the bytes read of the file.
func Read(path, field string, read func(n int64)) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Document{}, fmt.Errorf("cannot read the corpus: %w", err))
			return
		}
		defer f.Close()
		in, err := unpack(path, &counted{f, read})
		if err != nil {
			yield(Document{}, fmt.Errorf("cannot read %q: %w", path, err))
			return
		}
		defer in.Close()
		if form(path) == ".txt" {
			yield(whole(path, in))
			return
		}
		lines(path, field, bufio.NewReaderSize(in, 1<<20), yield)
	}
}

type counted struct {
	in   io.Reader
	read func(n int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if c.read != nil {
		c.read(int64(n))
	}
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

func whole(path string, in io.Reader) (Document, error) {
	text, err := io.ReadAll(io.LimitReader(in, MaxDocument+1))
	if err != nil {
		return Document{}, fmt.Errorf("cannot read %q: %w", path, err)
	}
	if err := check(text); err != nil {
		return Document{}, &DocumentError{path, 1, err}
	}
	return Document{string(text), 1}, nil
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

// lines reads objects line by line; a line that is too long is passed over unread.
func lines(path, field string, in *bufio.Reader, yield func(Document, error) bool) {
	var line []byte
	for number := 1; ; number++ {
		var err error
		line, err = readLine(in, line[:0])
		if len(line) == 0 && err == io.EOF {
			return
		}
		if err != nil && err != io.EOF {
			yield(Document{}, fmt.Errorf("cannot read %q after line %d: %w", path, number-1, err))
			return
		}
		if len(bytes.TrimSpace(line)) > 0 {
			text, bad := textOf(line, field)
			if bad != nil {
				bad = &DocumentError{path, number, bad}
			}
			if !yield(Document{text, number}, bad) {
				return
			}
		}
		if err == io.EOF {
			return
		}
	}
}

// readLine appends a line to buf, of which it keeps no more than one byte too many.
func readLine(in *bufio.Reader, buf []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		if room := MaxDocument + 1 - len(buf); room > 0 {
			buf = append(buf, part[:min(len(part), room)]...)
		}
		if err != bufio.ErrBufferFull {
			return buf, err
		}
	}
}

func textOf(line []byte, field string) (string, error) {
	if err := check(line); err != nil {
		return "", err
	}
	if field == "" {
		return string(line), nil
	}
	node, err := sonic.Get(line, field)
	if err != nil {
		return "", fmt.Errorf("no JSON object with the field %q: %w", field, err)
	}
	text, err := node.StrictString()
	if err != nil {
		return "", fmt.Errorf("the field %q is no text", field)
	}
	return text, nil
}
