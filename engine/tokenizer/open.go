package tokenizer

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ingot-llm/ingot/quant/builtin"
	"github.com/ingot-llm/ingot/quant/checkpoint"
)

// maxFile bounds a vocabulary file, packed or not: the largest published ones take
// some 40 MB.
const maxFile = 512 << 20

// Open reads the tokenizer of path: any model (also builtin, a GGUF that holds only a
// vocabulary, or a directory), a directory with a tokenizer alone, a tokenizer.json, a SentencePiece .model or a
// .tiktoken file; the last three may be packed with gzip (.gz). The encoding of a
// tiktoken file is pattern (see FromTiktoken) or, where that is "", what its name
// starts with. For other files pattern must be "".
func Open(path, pattern string) (*Tokenizer, error) {
	t, err := open(path, pattern)
	if err != nil {
		return nil, fmt.Errorf("cannot open the tokenizer %q: %w", path, err)
	}
	return t, nil
}

func open(path, pattern string) (*Tokenizer, error) {
	name := strings.TrimSuffix(filepath.Base(path), ".gz")
	ext := filepath.Ext(name)
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) && path == builtin.Name {
		return openModel(path)
	}
	if err != nil {
		return nil, err
	}
	if ext == ".tiktoken" || pattern != "" {
		return openTiktoken(path, name, pattern)
	}
	if info.IsDir() && holdsTokenizerOnly(path) {
		return open(filepath.Join(path, "tokenizer.json"), "")
	}
	isModel := name == "config.json" || strings.HasSuffix(name, ".safetensors.index.json")
	if info.IsDir() || isModel || ext != ".json" && ext != ".model" {
		return openModel(path)
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	if ext == ".model" {
		return FromSentencePiece(data)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return nil, fmt.Errorf("it is no tokenizer.json")
	}
	files := HF{Tokenizer: data}
	if name == "tokenizer.json" {
		if err := files.readSiblings(filepath.Dir(path)); err != nil {
			return nil, err
		}
	}
	return FromHF(files)
}

// readSiblings reads the files that lie beside a tokenizer.json, where there are any.
func (f *HF) readSiblings(dir string) error {
	for name, to := range map[string]*[]byte{"tokenizer_config.json": &f.Config, "generation_config.json": &f.Generation} {
		data, err := readFile(filepath.Join(dir, name))
		if err == nil {
			*to = data
		} else if !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// holdsTokenizerOnly reports whether a folder has a tokenizer.json and no model's
// configuration, as ingot train tokenizer makes it.
func holdsTokenizerOnly(dir string) bool {
	_, noConfig := os.Stat(filepath.Join(dir, "config.json"))
	_, noFile := os.Stat(filepath.Join(dir, "tokenizer.json"))
	return noConfig != nil && noFile == nil
}

func openTiktoken(path, name, pattern string) (*Tokenizer, error) {
	if pattern == "" {
		pattern = strings.TrimSuffix(name, ".tiktoken")
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return FromTiktoken(data, pattern)
}

func openModel(path string) (*Tokenizer, error) {
	src, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	t, err := New(src.Meta())
	// The tokenizer keeps strings of the metadata, which live on the Go heap.
	if cerr := src.Close(); err == nil {
		err = cerr
	}
	return t, err
}

// readFile reads a file, unpacking it if it is gzip, up to maxFile bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	var magic [2]byte
	if n, _ := f.ReadAt(magic[:], 0); n == 2 && binary.BigEndian.Uint16(magic[:]) == 0x1f8b {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it holds more than %d bytes", maxFile)
	}
	return data, err
}
