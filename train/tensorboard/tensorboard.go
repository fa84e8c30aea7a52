// Package tensorboard writes the event files that TensorBoard reads: figures and texts at
// steps. A file is a row of records, each of which is an Event, a protocol buffer:
//
//	length of the event       uint64, little-endian
//	masked CRC-32C of these   uint32
//	Event
//	masked CRC-32C of it      uint32
//
// (TensorFlow's TFRecord; tensorboard/compat/proto/event.proto and summary.proto).
package tensorboard

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Writer writes a file of events, each of which is in the file when its method returns.
// One goroutine.
type Writer struct {
	file *os.File
	now  func() time.Time
}

// Scalar is a figure under a name. What stands before its first slash groups it.
type Scalar struct {
	Tag   string
	Value float64
}

// The files' names begin and end so; between stands the second in which they were made.
// TensorBoard reads them in the order of their names.
const (
	prefix = "events.out.tfevents."
	suffix = ".ingot"
)

// Create makes a further file in a folder, for the steps from first on, and takes these
// steps out of earlier files. The caller closes the Writer.
func Create(dir string, first int) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the folder of the events: %w", err)
	}
	if err := cut(dir, first); err != nil {
		return nil, err
	}
	file, err := create(dir, time.Now().Unix())
	if err != nil {
		return nil, fmt.Errorf("cannot write events: %w", err)
	}
	w := &Writer{file, time.Now}
	if err = w.write(event{version: "brain.Event:2"}); err == nil {
		err = w.write(event{step: first, begins: true})
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return w, nil
}

// create makes a file whose name comes after those that are there.
func create(dir string, second int64) (*os.File, error) {
	earlier, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
	if err != nil {
		return nil, err
	}
	name := func() string { return filepath.Join(dir, fmt.Sprintf("%s%010d%s", prefix, second, suffix)) }
	for len(earlier) > 0 && name() <= slices.Max(earlier) {
		second++
	}
	return os.OpenFile(name(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
}

// Scalars notes figures of a step.
func (w *Writer) Scalars(step int, values ...Scalar) error {
	return w.write(event{step: step, scalars: values})
}

// Text notes a text of a step.
func (w *Writer) Text(step int, tag, text string) error {
	return w.write(event{step: step, tag: tag, text: text})
}

// Close ends the file.
func (w *Writer) Close() error { return w.file.Close() }

func (w *Writer) write(e event) error {
	if _, err := w.file.Write(record(e.encode(w.now()))); err != nil {
		return fmt.Errorf("cannot write events: %w", err)
	}
	return nil
}
