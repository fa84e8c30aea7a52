// Package mmap gives memory off the Go heap: a file's bytes as they lie, and plain
// zeroed memory. The collector neither scans nor counts it.
package mmap

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// File is a file mapped read-only. Writing to its bytes faults. A file that another
// process shortens while it is mapped faults as well, so model files must be replaced
// by renaming, never rewritten in place.
type File struct{ data []byte }

// Open maps the whole regular file at path.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cannot map %q: it is no regular file", path)
	}
	if info.Size() == 0 {
		return &File{}, nil
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("cannot map %q (%d bytes): %w", path, info.Size(), err)
	}
	return &File{data: data}, nil
}

// Copy returns a copy of data in memory of its own, as if it were a file's. Release would
// lose it.
func Copy(data []byte) (*File, error) {
	b, err := Alloc(len(data))
	if err != nil {
		return nil, err
	}
	copy(b, data)
	return &File{data: b}, nil
}

// Bytes returns the file's bytes, page-aligned, valid until Close.
func (f *File) Bytes() []byte { return f.data }

// Release gives back the memory of the pages that were read. They stay readable: the
// system reads them again from its cache or the file.
func (f *File) Release() {
	if len(f.data) > 0 {
		_ = unix.Madvise(f.data, unix.MADV_DONTNEED) // advice only
	}
}

// Close ends the mapping; a second call does nothing. No goroutine may still read.
func (f *File) Close() error {
	data := f.data
	f.data = nil
	return Free(data)
}

// Alloc returns n zeroed, page-aligned bytes off the Go heap, which the caller gives
// to Free once.
func Alloc(n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("cannot allocate %d bytes: %w", n, err)
	}
	return b, nil
}

// Free ends the life of what Alloc returned.
func Free(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return unix.Munmap(b[:cap(b)])
}
