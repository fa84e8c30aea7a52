package board

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Follower reads a run's log as it grows. One goroutine.
type Follower struct {
	Dir string // the run's folder
	Run Run    // what the log has told

	info   fs.FileInfo // of the file that was read
	offset int64       // of its first byte that was not
	reads  int         // that found something new
}

// maxRead is how much of a log is read at a time, and the longest line.
const maxRead = 16 << 20

// Read takes in the lines that are whole by now. A log that is another file, or shorter
// than it was, is read anew.
func (f *Follower) Read() error {
	file, err := os.Open(filepath.Join(f.Dir, LogName))
	if err != nil {
		return fmt.Errorf("%q holds no run: %w", f.Dir, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("cannot read the log: %w", err)
	}
	if f.info == nil || !os.SameFile(f.info, info) || info.Size() < f.offset {
		f.Run, f.offset = Run{}, 0
	}
	f.info = info
	for more := true; more; {
		text, err := io.ReadAll(io.NewSectionReader(file, f.offset, min(info.Size()-f.offset, maxRead)))
		if err != nil {
			return fmt.Errorf("cannot read the log: %w", err)
		}
		more = f.take(text)
	}
	return nil
}

// take adds the whole lines at a text's beginning, and reports whether there may be more.
func (f *Follower) take(text []byte) bool {
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	if len(whole) == 0 && len(text) == maxRead { // no line that training wrote
		whole = text
	}
	f.Run.Add(whole)
	f.offset += int64(len(whole))
	if len(whole) > 0 {
		f.reads++
	}
	return len(whole) > 0
}

// Name is what a page calls the run: its folder's name.
func (f *Follower) Name() string {
	if dir, err := filepath.Abs(f.Dir); err == nil {
		return filepath.Base(dir)
	}
	return f.Dir
}

// Updated returns when the log grew last.
func (f *Follower) Updated() time.Time { return f.info.ModTime() }
