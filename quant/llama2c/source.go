package llama2c

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/mmap"
)

// Source is an opened model with its tokenizer. It implements quant.Source; the
// tensors lie in the mapped file.
type Source struct {
	meta    *quant.Meta
	file    *mmap.File
	infos   []quant.Tensor
	tensors map[string]quant.Tensor
}

// Open opens a model and its tokenizer, as Find pairs them.
func Open(modelPath, tokenizerPath string) (*Source, error) {
	f, err := mmap.Open(modelPath)
	if err != nil {
		return nil, err
	}
	s := &Source{file: f, tensors: map[string]quant.Tensor{}}
	if err := s.open(modelPath, tokenizerPath); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (s *Source) open(modelPath, tokenizerPath string) error {
	h, tensors, err := parseModel(s.file.Bytes())
	if err != nil {
		return fmt.Errorf("cannot open %q: %w", modelPath, err)
	}
	raw, err := os.ReadFile(tokenizerPath)
	if err != nil {
		return err
	}
	v, err := parseTokenizer(raw, h.vocab)
	if err != nil {
		return fmt.Errorf("cannot open %q: %w", tokenizerPath, err)
	}
	s.meta = h.meta()
	s.meta.Set("general.name", strings.TrimSuffix(filepath.Base(modelPath), ".bin"))
	v.put(s.meta)
	for _, t := range tensors {
		s.tensors[t.Name] = t
		t.Data = nil
		s.infos = append(s.infos, t)
	}
	return nil
}

// Find returns the model and tokenizer files at path: a folder that holds one of
// each, or a model file with a tokenizer beside it. A tokenizer is a .bin file whose
// name begins with "tok". ok is false where there is no such pair.
func Find(path string) (model, tokenizer string, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return "", "", false
	}
	dir := path
	if !info.IsDir() {
		dir = filepath.Dir(path)
	}
	files, _ := filepath.Glob(filepath.Join(escape(dir), "*.bin"))
	var models, tokenizers []string
	for _, f := range files {
		if strings.HasPrefix(filepath.Base(f), "tok") {
			tokenizers = append(tokenizers, f)
		} else {
			models = append(models, f)
		}
	}
	if !info.IsDir() {
		models = []string{path}
	}
	if len(models) != 1 || len(tokenizers) != 1 || models[0] == tokenizers[0] {
		return "", "", false
	}
	return models[0], tokenizers[0], true
}

// escape makes a folder's name literal in a pattern.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

// Meta implements quant.Source.
func (s *Source) Meta() *quant.Meta { return s.meta }

// Infos implements quant.Source.
func (s *Source) Infos() []quant.Tensor { return s.infos }

// Tensor implements quant.Source.
func (s *Source) Tensor(name string) (quant.Tensor, error) {
	t, ok := s.tensors[name]
	if !ok {
		return t, fmt.Errorf("%w: %q", quant.ErrNoTensor, name)
	}
	return t, nil
}

// Close unmaps the file; every tensor's Data ends with it.
func (s *Source) Close() error { return s.file.Close() }
