// Package atomicfile writes files that are either there whole or not there: under a
// temporary name in the same folder, synced, then renamed. Whatever had the name
// before stays until then, and for good if anything fails.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Write makes the file at path of what fill writes. size is how many bytes that will
// be, for a check of the free space beforehand; 0 = not known. On any error the
// temporary file is removed and path is as it was.
func Write(path string, size int64, fill func(io.Writer) error) error {
	var s Set
	defer s.Abort()
	if err := s.Add(path, size, fill); err != nil {
		return err
	}
	return s.Commit()
}

// Set is a number of files that appear together. The zero value is empty. It belongs
// to one goroutine.
type Set struct{ files []pending }

// pending is a complete, synced file that waits for its name.
type pending struct{ temporary, path string }

// Add writes a file, as Write does, but leaves its name to Commit.
func (s *Set) Add(path string, size int64, fill func(io.Writer) error) error {
	if err := fits(filepath.Dir(path), size); err != nil {
		return fmt.Errorf("cannot write %q: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", path, err)
	}
	s.files = append(s.files, pending{temporary: f.Name(), path: path})
	if err := writeSynced(f, fill); err != nil {
		return fmt.Errorf("cannot write %q: %w", path, err)
	}
	return nil
}

// writeSynced fills, syncs and closes f, whose mode becomes that of a plain new file.
func writeSynced(f *os.File, fill func(io.Writer) error) error {
	err := fill(f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Commit gives all files their names. An error in the midst of several files may
// leave some of them named; every single file is whole in any case.
func (s *Set) Commit() error {
	for len(s.files) > 0 {
		p := s.files[0]
		if err := os.Rename(p.temporary, p.path); err != nil {
			return err
		}
		s.files = s.files[1:]
		if err := syncDir(filepath.Dir(p.path)); err != nil {
			return err
		}
	}
	return nil
}

// Abort removes what has no name yet; after Commit it does nothing.
func (s *Set) Abort() {
	for _, p := range s.files {
		os.Remove(p.temporary)
	}
	s.files = nil
}

// Dir is a folder being written; see WriteDir.
type Dir struct{ path string }

// File makes a file of the folder, synced. name is a path below the folder, whose
// parents are made.
func (d *Dir) File(name string, fill func(io.Writer) error) error {
	path := filepath.Join(d.path, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if err := writeSynced(f, fill); err != nil {
		return fmt.Errorf("cannot write %q: %w", name, err)
	}
	return syncDir(filepath.Dir(path))
}

// WriteDir makes a folder at path, which must be absent or empty, of the files that
// fill makes. On any error nothing is left of it. size is as in Write.
func WriteDir(path string, size int64, fill func(*Dir) error) error {
	path = filepath.Clean(path)
	if entries, err := os.ReadDir(path); len(entries) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot write folder %q: something is there already; name a new folder or remove it", path)
	}
	parent := filepath.Dir(path)
	if err := fits(parent, size); err != nil {
		return fmt.Errorf("cannot write folder %q: %w", path, err)
	}
	temporary, err := os.MkdirTemp(parent, "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("cannot write folder %q: %w", path, err)
	}
	defer os.RemoveAll(temporary)
	if err := fillDir(temporary, fill); err != nil {
		return fmt.Errorf("cannot write folder %q: %w", path, err)
	}
	// os.Rename refuses to replace even an empty folder.
	if err := unix.Rename(temporary, path); err != nil {
		return fmt.Errorf("cannot write folder %q: %w", path, err)
	}
	return syncDir(parent)
}

func fillDir(path string, fill func(*Dir) error) error {
	if err := os.Chmod(path, 0o755); err != nil {
		return err
	}
	if err := fill(&Dir{path: path}); err != nil {
		return err
	}
	return syncDir(path)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// fits compares size with what an ordinary user may still write to dir's file system.
func fits(dir string, size int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return err
	}
	if free := int64(s.Bavail) * int64(s.Bsize); size > free {
		return fmt.Errorf("%d bytes are needed, but %d are free in %q", size, free, dir)
	}
	return nil
}
