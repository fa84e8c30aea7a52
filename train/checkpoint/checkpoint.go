// Package checkpoint keeps the states of a training run, so that it goes on bit for bit
// whatever was killed, torn or full. A folder holds
//
//	lock                          the trainer that owns the folder
//	step-00000200/state.safetensors   every array, f32
//	step-00000200/manifest.json       step, what else the trainer needs, SHA-256 of the file
//
// A checkpoint is written aside (a folder beginning with a dot), synced, then renamed:
// what has its name is whole, unless the disk damaged it later, which its sum shows. This
// can go on beside the training, from a copy of its state (Start).
package checkpoint

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"github.com/ingot-llm/ingot/quant/safetensors"
)

const (
	stateFile    = "state.safetensors"
	manifestFile = "manifest.json"
	prefix       = "step-"
	keepNewest   = 2
)

// Array is a part of the state in the trainer's memory, under a name of its own.
type Array struct {
	Name   string
	Values []float32
}

// Manifest says what a checkpoint is.
type Manifest struct {
	Step   int             `json:"step"`
	Loss   float64         `json:"valid_loss,omitempty"` // by which the best is kept; 0 = not known
	State  json.RawMessage `json:"state"`                // what the trainer needs beside the arrays
	SHA256 string          `json:"sha256"`               // of state.safetensors
}

// ErrNone: a folder has no checkpoint.
var ErrNone = errors.New("there is no checkpoint")

// Store is the checkpoints of a folder that this process has locked. One goroutine; what
// Start begins goes on beside it.
type Store struct {
	dir    string
	lock   *os.File
	copy   snapshot
	saving chan error // gets the error of the save that goes on; nil if none was started
	// before is called before every operation on the disk; its error is the operation's.
	// Tests let operations fail or the process die with it.
	before func(operation string) error
}

// Open makes the folder where it is absent and locks it; another process that has it is
// an error. It brings back what an unfinished save had put aside, and removes what else it
// left.
func Open(dir string) (*Store, error) {
	s := &Store{dir: dir, before: func(string) error { return nil }}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot open the checkpoints: %w", err)
	}
	if err := s.acquire(); err != nil {
		return nil, err
	}
	unfinished, _ := filepath.Glob(filepath.Join(dir, "."+prefix+"*"))
	for _, path := range unfinished {
		final := filepath.Join(dir, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "."), aside))
		if _, err := os.Stat(final); strings.HasSuffix(path, aside) && errors.Is(err, os.ErrNotExist) {
			_ = os.Rename(path, final) // if it fails, those before are there
		}
		_ = os.RemoveAll(path) // it costs space only
	}
	return s, nil
}

// Close waits for a save that goes on and gives the folder back.
func (s *Store) Close() error {
	err := s.Wait()
	s.copy.free()
	return errors.Join(err, s.lock.Close())
}

func name(step int) string { return fmt.Sprintf("%s%08d", prefix, step) }

// Save writes a checkpoint and removes those that are neither among the newest two nor
// the best. After an error what was there before is still there.
func (s *Store) Save(m Manifest, arrays []Array) error {
	tmp := hidden(filepath.Join(s.dir, name(m.Step)))
	err := s.write(tmp, m, arrays)
	if err != nil {
		_ = os.RemoveAll(tmp)
		return fmt.Errorf("cannot save the checkpoint of step %d: %w", m.Step, err)
	}
	return s.prune()
}

func (s *Store) write(tmp string, m Manifest, arrays []Array) error {
	if err := s.do("mkdir", func() error { return os.MkdirAll(tmp, 0o755) }); err != nil {
		return err
	}
	sum := sha256.New()
	err := s.file(filepath.Join(tmp, stateFile), func(w io.Writer) error { return writeArrays(io.MultiWriter(w, sum), arrays) })
	if err != nil {
		return err
	}
	m.SHA256 = fmt.Sprintf("%x", sum.Sum(nil))
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	err = s.file(filepath.Join(tmp, manifestFile), func(w io.Writer) error { _, err := w.Write(text); return err })
	if err != nil {
		return err
	}
	if err := s.do("sync", func() error { return syncDir(tmp) }); err != nil {
		return err
	}
	return s.publish(tmp, filepath.Join(s.dir, name(m.Step)))
}

// aside is added to the name of a checkpoint while another takes its place.
const aside = ".old"

// publish gives the folder tmp its name. A checkpoint that has it, of a run that went on
// from before it, goes aside first and comes back if that fails.
func (s *Store) publish(tmp, final string) error {
	old := hidden(final) + aside
	err := s.do("rename", func() error { return os.Rename(final, old) })
	replaces := err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := s.do("rename", func() error { return os.Rename(tmp, final) }); err != nil {
		if replaces {
			err = errors.Join(err, os.Rename(old, final))
		}
		return err
	}
	if err := s.do("sync", func() error { return syncDir(s.dir) }); err != nil || !replaces {
		return err
	}
	return s.do("remove", func() error { return os.RemoveAll(old) })
}

// hidden returns the path of a checkpoint's folder with a dot before its name.
func hidden(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
}

func (s *Store) do(operation string, f func() error) error {
	if err := s.before(operation); err != nil {
		return err
	}
	return f()
}

// file writes and syncs a file.
func (s *Store) file(path string, fill func(w io.Writer) error) (err error) {
	var f *os.File
	if err := s.do("create", func() error { f, err = os.Create(path); return err }); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(writer{s, f}, 1<<20)
	if err := errors.Join(fill(w), w.Flush()); err != nil {
		return err
	}
	return s.do("sync", f.Sync)
}

type writer struct {
	s *Store
	f *os.File
}

func (w writer) Write(p []byte) (n int, err error) {
	err = w.s.do("write", func() error { n, err = w.f.Write(p); return err })
	return n, err
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeArrays(w io.Writer, arrays []Array) error {
	var tensors []safetensors.Tensor
	for _, a := range arrays {
		tensors = append(tensors, safetensors.Tensor{Name: a.Name, DType: "F32", Shape: []int{len(a.Values)}})
	}
	return safetensors.Write(w, tensors, nil, func(i int, w io.Writer) error {
		_, err := w.Write(bytesOf(arrays[i].Values))
		return err
	})
}

func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// steps lists the checkpoints' folders, oldest first.
func (s *Store) steps() ([]string, error) {
	all, err := filepath.Glob(filepath.Join(s.dir, prefix+"*"))
	slices.Sort(all)
	return all, err
}

// prune removes all but the newest ones and the best.
func (s *Store) prune() error {
	all, err := s.steps()
	if err != nil || len(all) <= keepNewest {
		return err
	}
	best := s.best(all)
	for _, path := range all[:len(all)-keepNewest] {
		if path != best {
			err = errors.Join(err, s.do("remove", func() error { return os.RemoveAll(path) }))
		}
	}
	return err
}

// best returns the checkpoint with the lowest validation loss, "" if none has one.
func (s *Store) best(all []string) (path string) {
	least := 0.0
	for _, p := range all {
		if m, err := readManifest(p); err == nil && m.Loss > 0 && (path == "" || m.Loss < least) {
			path, least = p, m.Loss
		}
	}
	return path
}

// Latest reads the newest whole checkpoint into arrays, which must be those that were
// saved, and returns its manifest, with an error of each damaged one that it passed
// over. Without a whole one the error wraps ErrNone.
func (s *Store) Latest(arrays []Array) (m Manifest, damaged []error, err error) {
	all, err := s.steps()
	if err != nil {
		return m, nil, err
	}
	for _, path := range slices.Backward(all) {
		m, err := read(path, arrays)
		if err == nil {
			return m, damaged, nil
		}
		damaged = append(damaged, fmt.Errorf("the checkpoint %s cannot be used: %w", filepath.Base(path), err))
	}
	return m, damaged, fmt.Errorf("%w in %q", ErrNone, s.dir)
}

func readManifest(path string) (m Manifest, err error) {
	text, err := os.ReadFile(filepath.Join(path, manifestFile))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("its manifest is damaged: %w", err)
	}
	if want := strings.TrimPrefix(filepath.Base(path), prefix); fmt.Sprintf("%08d", m.Step) != want {
		return m, fmt.Errorf("its manifest is of step %d", m.Step)
	}
	return m, nil
}

func read(path string, arrays []Array) (m Manifest, err error) {
	if m, err = readManifest(path); err != nil {
		return m, err
	}
	if err := verify(filepath.Join(path, stateFile), m.SHA256); err != nil {
		return m, err
	}
	f, err := safetensors.Open(filepath.Join(path, stateFile))
	if err != nil {
		return m, err
	}
	defer f.Close()
	return m, readArrays(f, arrays)
}

func verify(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", sum.Sum(nil)); got != want {
		return fmt.Errorf("%s has the SHA-256 %s, its manifest says %s", stateFile, got, want)
	}
	return nil
}

// readArrays checks all arrays before it changes one.
func readArrays(f *safetensors.File, arrays []Array) error {
	if n := len(f.Tensors()); n != len(arrays) {
		return fmt.Errorf("it has %d arrays, this run %d: its settings are others", n, len(arrays))
	}
	for _, a := range arrays {
		if t, ok := f.Lookup(a.Name); !ok || len(t.Data) != 4*len(a.Values) {
			return fmt.Errorf("it has no array %s of %d elements: its settings are others", a.Name, len(a.Values))
		}
	}
	for _, a := range arrays {
		t, _ := f.Lookup(a.Name)
		copy(bytesOf(a.Values), t.Data)
	}
	return nil
}
