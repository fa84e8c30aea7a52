// Package bounds reads binary files from outside without trusting a single length
// in them: every read and every size computation is checked, and what is wrong is
// reported with its byte offset and field.
package bounds

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Error says where a file breaks its format. Offset is in bytes from the file's
// start; Field names what was being read.
type Error struct {
	Format string
	Offset int
	Field  string
	Reason string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("malformed %s: at byte %d, %s: %s", e.Format, e.Offset, e.Field, e.Reason)
}

// Reader walks a file's bytes. The first failure sticks: later reads give zero
// values and Err reports it, so a parser checks once per loop turn. Numbers are
// little-endian. A Reader belongs to one goroutine.
type Reader struct {
	format string
	data   []byte
	off    int
	err    error
}

// NewReader returns a Reader of data; format names the file format in errors.
func NewReader(format string, data []byte) *Reader { return &Reader{format: format, data: data} }

// Err returns the first failure, an *Error, or nil.
func (r *Reader) Err() error { return r.err }

// Offset returns the position of the next byte.
func (r *Reader) Offset() int { return r.off }

// Left returns the number of bytes not read yet.
func (r *Reader) Left() int { return len(r.data) - r.off }

// Fail records that field is wrong at the current position, unless a failure is
// recorded already, and returns the recorded one.
func (r *Reader) Fail(field, reason string, args ...any) error {
	if r.err == nil {
		r.err = &Error{Format: r.format, Offset: r.off, Field: field, Reason: fmt.Sprintf(reason, args...)}
	}
	return r.err
}

// Bytes returns the next n bytes, which stay part of the file's memory, or nil
// after a failure.
func (r *Reader) Bytes(field string, n uint64) []byte {
	if r.err != nil {
		return nil
	}
	if n > uint64(r.Left()) {
		r.Fail(field, "needs %d bytes, but %d are left in the file", n, r.Left())
		return nil
	}
	b := r.data[r.off : r.off+int(n)]
	r.off += int(n)
	return b
}

// U8 reads one byte.
func (r *Reader) U8(field string) uint8 {
	if b := r.Bytes(field, 1); b != nil {
		return b[0]
	}
	return 0
}

// U16 reads a 16-bit number.
func (r *Reader) U16(field string) uint16 {
	if b := r.Bytes(field, 2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// U32 reads a 32-bit number.
func (r *Reader) U32(field string) uint32 {
	if b := r.Bytes(field, 4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// U64 reads a 64-bit number.
func (r *Reader) U64(field string) uint64 {
	if b := r.Bytes(field, 8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// F32 reads a float32.
func (r *Reader) F32(field string) float32 { return math.Float32frombits(r.U32(field)) }

// Count reads a 64-bit number of items, each at least itemBytes long, and refuses one
// above limit or above what the rest of the file can hold, so that the caller may
// allocate by it.
func (r *Reader) Count(field string, limit uint64, itemBytes int) int {
	at, n := r.off, r.U64(field)
	fits := n <= uint64(r.Left()/itemBytes)
	if r.err != nil || n <= limit && fits {
		return int(n)
	}
	r.off = at
	if n > limit {
		r.Fail(field, "%d is above the limit of %d", n, limit)
	} else {
		r.Fail(field, "%d items of at least %d bytes do not fit in the rest of the file", n, itemBytes)
	}
	return 0
}

// String reads a string of a 64-bit length and then as many bytes, at most limit,
// as a copy.
func (r *Reader) String(field string, limit uint64) string {
	n := r.Count(field, limit, 1)
	return string(r.Bytes(field, uint64(n)))
}
