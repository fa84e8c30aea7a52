package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ingot-llm/ingot/quant/mmap"
)

// Names of a model's files in its folder.
const (
	SingleName = "model.safetensors"
	IndexName  = "model.safetensors.index.json"
)

// maxIndex bounds an index file; the largest published ones have a few MB.
const maxIndex = 100_000_000

// File is an opened set of tensors: one file, or all shards of a model. It is safe
// for concurrent use.
type File struct {
	mapped   []*mmap.File
	tensors  []Tensor
	byName   map[string]int
	metadata map[string]string
}

// Open maps and parses the one file at path. A malformed file gives an error that
// wraps *bounds.Error.
func Open(path string) (*File, error) { return openAll([]string{path}) }

// OpenDir opens the model in a folder: its model.safetensors, or the shards that its
// model.safetensors.index.json names, which must hold exactly the index's tensors.
func OpenDir(dir string) (*File, error) {
	raw, err := readIndex(filepath.Join(dir, IndexName))
	if errors.Is(err, os.ErrNotExist) {
		return Open(filepath.Join(dir, SingleName))
	}
	if err != nil {
		return nil, err
	}
	shards, weights, err := parseIndex(raw)
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", filepath.Join(dir, IndexName), err)
	}
	for i := range shards {
		shards[i] = filepath.Join(dir, shards[i])
	}
	f, err := openAll(shards)
	if err != nil {
		return nil, err
	}
	if err := f.matches(weights); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open the model in %q: %w", dir, err), f.Close())
	}
	return f, nil
}

func readIndex(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxIndex {
		return nil, fmt.Errorf("cannot read %q: its %d bytes are above the limit of %d", path, info.Size(), maxIndex)
	}
	return os.ReadFile(path)
}

// parseIndex returns the shards that an index names, in order of first mention by
// name, and the map from tensor to shard. Shards must lie in the index's own folder.
func parseIndex(raw []byte) (shards []string, weights map[string]string, err error) {
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, nil, err
	}
	if len(index.WeightMap) == 0 {
		return nil, nil, errors.New("it has no weight_map")
	}
	files := map[string]bool{}
	for _, shard := range index.WeightMap {
		if filepath.Base(shard) != shard || shard == ".." || shard == "." {
			return nil, nil, fmt.Errorf("shard %q is no plain file name", shard)
		}
		files[shard] = true
	}
	return sortedKeys(files), index.WeightMap, nil
}

func openAll(paths []string) (*File, error) {
	f := &File{byName: map[string]int{}, metadata: map[string]string{}}
	for _, path := range paths {
		if err := f.add(path); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot open %q: %w", path, err), f.Close())
		}
	}
	return f, nil
}

func (f *File) add(path string) error {
	m, err := mmap.Open(path)
	if err != nil {
		return err
	}
	f.mapped = append(f.mapped, m)
	tensors, metadata, err := parse(m.Bytes())
	if err != nil {
		return err
	}
	for k, v := range metadata {
		f.metadata[k] = v
	}
	for _, t := range tensors {
		if _, ok := f.byName[t.Name]; ok {
			return fmt.Errorf("tensor %q lies in two shards", t.Name)
		}
		f.byName[t.Name] = len(f.tensors)
		f.tensors = append(f.tensors, t)
	}
	return nil
}

// matches compares what the shards hold with what the index says.
func (f *File) matches(weights map[string]string) error {
	for name, shard := range weights {
		if _, ok := f.byName[name]; !ok {
			return fmt.Errorf("the index puts tensor %q into %q, which lacks it", name, shard)
		}
	}
	if len(weights) != len(f.tensors) {
		return fmt.Errorf("the index names %d tensors, the shards hold %d", len(weights), len(f.tensors))
	}
	return nil
}

// Tensors lists all tensors in the order of their bytes.
func (f *File) Tensors() []Tensor { return f.tensors }

// Lookup returns the tensor of that name as the file has it, or false.
func (f *File) Lookup(name string) (Tensor, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Metadata returns the files' __metadata__; callers must not change it. (Method Meta
// gives the same in quant.Source's form.)
func (f *File) Metadata() map[string]string { return f.metadata }

// Release implements quant.Releaser.
func (f *File) Release() {
	for _, m := range f.mapped {
		m.Release()
	}
}

// Close unmaps the files; every tensor's Data ends with it.
func (f *File) Close() error {
	var errs []error
	for _, m := range f.mapped {
		errs = append(errs, m.Close())
	}
	f.mapped = nil
	return errors.Join(errs...)
}
