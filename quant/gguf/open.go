package gguf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/mmap"
)

// Keys of a model that is split over several files.
const (
	splitNo      = "split.no"
	splitCount   = "split.count"
	splitTensors = "split.tensors.count"
)

// maxSplits is what five digits in a file's name can count.
const maxSplits = 99_999

// splitName matches "NAME-00001-of-00003.gguf".
var splitName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// Source is an opened GGUF model: one file, or all files of a split one. It is a
// quant.Source whose tensors lie in mapped files.
type Source struct {
	meta    *quant.Meta
	files   []*mmap.File
	infos   []quant.Tensor
	tensors map[string]quant.Tensor
}

// Open maps and parses the GGUF file at path, and, if it is the first of a split
// model, the other files beside it. The metadata is the first file's without the
// split's own keys. A malformed file gives an error that wraps *bounds.Error.
func Open(path string) (*Source, error) {
	s := &Source{tensors: map[string]quant.Tensor{}}
	if err := s.open(path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Read is Open of a whole file in memory, which it copies; name is for errors. The Source
// must not be released.
func Read(data []byte, name string) (*Source, error) {
	s := &Source{tensors: map[string]quant.Tensor{}}
	f, err := mmap.Copy(data)
	if err == nil {
		s.meta, err = s.take(f, name)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Source) open(path string) error {
	first, err := s.add(path)
	if err != nil {
		return err
	}
	s.meta = first
	count := first.Int(splitCount, 1)
	if count > 1 {
		if err := s.openSplits(path, count); err != nil {
			return err
		}
	}
	for _, key := range []string{splitNo, splitCount, splitTensors} {
		s.meta.Delete(key)
	}
	return nil
}

// add maps one file, appends its tensors, and returns its metadata.
func (s *Source) add(path string) (*quant.Meta, error) {
	f, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	return s.take(f, path)
}

// take appends a mapped file's tensors and returns its metadata.
func (s *Source) take(f *mmap.File, path string) (*quant.Meta, error) {
	s.files = append(s.files, f)
	c, err := parse(f.Bytes())
	if err != nil {
		return nil, fmt.Errorf("cannot open %q: %w", path, err)
	}
	for _, t := range c.tensors {
		if _, ok := s.tensors[t.Name]; ok {
			return nil, fmt.Errorf("cannot open %q: an earlier file of the split model has tensor %q too", path, t.Name)
		}
		s.tensors[t.Name] = t
		t.Data = nil
		s.infos = append(s.infos, t)
	}
	return c.meta, nil
}

// openSplits adds files 2 to count, whose names follow from the first's.
func (s *Source) openSplits(path string, count int) error {
	m := splitName.FindStringSubmatch(filepath.Base(path))
	if m == nil || m[3] != fmt.Sprintf("%05d", count) || count > maxSplits {
		return fmt.Errorf("cannot open %q: it is one of %d files of a split model, whose names must end in %s", path, count, SplitName("", 1, count))
	}
	if no, _ := strconv.Atoi(m[2]); no != 1 || s.meta.Int(splitNo, -1) != 0 {
		return fmt.Errorf("cannot open %q: open the first file of the split model, %q", path, SplitName(m[1], 1, count))
	}
	for i := 2; i <= count; i++ {
		next := filepath.Join(filepath.Dir(path), SplitName(m[1], i, count))
		meta, err := s.add(next)
		if err != nil {
			return fmt.Errorf("cannot open file %d of %d of a split model: %w", i, count, err)
		}
		if meta.Int(splitNo, -1) != i-1 || meta.Int(splitCount, -1) != count {
			return fmt.Errorf("cannot open %q: it says that it is file %d of %d", next, meta.Int(splitNo, -1)+1, meta.Int(splitCount, -1))
		}
	}
	if want := s.meta.Int(splitTensors, len(s.infos)); want != len(s.infos) {
		return fmt.Errorf("cannot open %q: the split model says %d tensors, its files have %d", path, want, len(s.infos))
	}
	return nil
}

// Release implements quant.Releaser.
func (s *Source) Release() {
	for _, f := range s.files {
		f.Release()
	}
}

// SplitName returns the name of file no (from 1) of the count files of a model that
// is split: "NAME-00001-of-00003.gguf".
func SplitName(name string, no, count int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", name, no, count)
}

// IsGGUF reports whether the file at path begins as a GGUF file does.
func IsGGUF(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [len(magic)]byte
	n, _ := f.Read(head[:])
	return string(head[:n]) == magic
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

// Close unmaps the files; every tensor's Data ends with it.
func (s *Source) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	s.files = nil
	return errors.Join(errs...)
}
