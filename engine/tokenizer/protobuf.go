package tokenizer

import (
	"encoding/binary"
	"errors"
	"math"
)

var errProto = errors.New("the protobuf data is damaged")

// field is one field of a protobuf message: num holds varints and fixed numbers,
// bytes the length-delimited ones, as part of the input.
type field struct {
	no    int
	wire  int
	num   uint64
	bytes []byte
}

// Wire types.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

// eachField calls f for every field of a message.
func eachField(data []byte, f func(field) error) error {
	for len(data) > 0 {
		key, n := binary.Uvarint(data)
		if n <= 0 || key>>3 == 0 || key>>3 > 1<<29 {
			return errProto
		}
		data = data[n:]
		fd := field{no: int(key >> 3), wire: int(key & 7)}
		n, ok := fd.read(data)
		if !ok {
			return errProto
		}
		data = data[n:]
		if err := f(fd); err != nil {
			return err
		}
	}
	return nil
}

// read takes the field's value and returns its length.
func (f *field) read(data []byte) (n int, ok bool) {
	switch f.wire {
	case wireVarint:
		f.num, n = binary.Uvarint(data)
		return n, n > 0
	case wire64:
		if len(data) < 8 {
			return 0, false
		}
		f.num = binary.LittleEndian.Uint64(data)
		return 8, true
	case wire32:
		if len(data) < 4 {
			return 0, false
		}
		f.num = uint64(binary.LittleEndian.Uint32(data))
		return 4, true
	case wireBytes:
		size, w := binary.Uvarint(data)
		if w <= 0 || size > uint64(len(data)-w) {
			return 0, false
		}
		f.bytes = data[w : w+int(size)]
		return w + int(size), true
	}
	return 0, false
}

func (f field) bool() bool     { return f.num != 0 }
func (f field) float() float32 { return math.Float32frombits(uint32(f.num)) }
func (f field) text() string   { return string(f.bytes) }
func (f field) id() int32      { return int32(f.num) }
