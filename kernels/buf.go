package kernels

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugeBytes is the size from which a Buf asks for pages of 2 MiB: reading memory
// sequentially is about 10 % faster with them (31 against 34 GB/s on Zen 4).
const hugeBytes = 2 << 20

// Buf is zeroed memory off the Go heap, aligned to a page (and so to 64 bytes). The
// system gives its pages when they are first written. Whoever made it frees it once;
// nothing frees it otherwise. Its methods may be called from several goroutines, Free
// only when no other use is left.
type Buf struct{ data []byte }

// NewBuf maps size bytes, at least one.
func NewBuf(size int) (*Buf, error) {
	data, err := unix.Mmap(-1, 0, max(size, 1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("cannot map %d bytes of memory: %w", size, err)
	}
	if size >= hugeBytes {
		_ = unix.Madvise(data, unix.MADV_HUGEPAGE) // advice only: a kernel without huge pages refuses
	}
	return &Buf{data}, nil
}

// Bytes returns the whole memory; it is valid until Free.
func (b *Buf) Bytes() []byte { return b.data }

// Floats returns the memory as f32; it is valid until Free.
func (b *Buf) Floats() []float32 { return view[float32](b.data, len(b.data)/4) }

// Free gives the memory back. A second call, or use of Bytes after it, is a bug.
func (b *Buf) Free() {
	if err := unix.Munmap(b.data); err != nil {
		panic(fmt.Sprintf("BUG: cannot free %d bytes of native memory: %v", len(b.data), err))
	}
	b.data = nil
}

// number is what a Buf or a weight can be seen as.
type number interface {
	~int8 | ~int32 | ~uint16 | ~uint64 | ~float32 | Instr | nativeOperand | nativeBatch | runArgs | openArgs | packSizeArgs | repackArgs | limitsArgs | adamwArgs | squaresArgs | nativeRow | readRowsArgs
}

// view returns the first n elements of b as T; b's address is a multiple of T's
// alignment.
func view[T number](b []byte, n int) []T {
	var t T
	if n == 0 {
		return nil
	}
	b = b[:n*int(unsafe.Sizeof(t))]
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n)
}

// address returns where b begins, or 0 for an empty b.
func address[T any](b []T) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// arena hands out Bufs that are freed together.
type arena []*Buf

// take returns n zeroed elements of native memory, valid until free.
func take[T number](a *arena, n int) ([]T, error) {
	var t T
	b, err := NewBuf(n * int(unsafe.Sizeof(t)))
	if err != nil {
		return nil, err
	}
	*a = append(*a, b)
	return view[T](b.data, n), nil
}

// holds reports whether b lies in the arena's memory.
func (a arena) holds(b []byte) bool {
	at := address(b)
	return slices.ContainsFunc(a, func(buf *Buf) bool {
		from := address(buf.data)
		return at >= from && at < from+uintptr(len(buf.data))
	})
}

func (a *arena) free() {
	for _, b := range *a {
		b.Free()
	}
	*a = nil
}
