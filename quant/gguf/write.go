package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/bounds"
)

// Write writes a GGUF version 3 file: the metadata (key general.alignment left out,
// as the file has the default of 32), then for each tensor of infos, in order, the
// bytes that data(i, w) writes, which must be exactly those of the tensor's type and
// shape. Nothing but one tensor's chunk is ever held in memory.
func Write(w io.Writer, meta *quant.Meta, infos []quant.Tensor, data func(i int, w io.Writer) error) error {
	out := &counter{w: bufio.NewWriterSize(w, 1<<20)}
	head, err := header(meta, infos)
	if err != nil {
		return err
	}
	out.Write(head)
	for i, t := range infos {
		out.pad()
		start := out.n
		if err := data(i, out); err != nil {
			return fmt.Errorf("cannot write tensor %q: %w", t.Name, err)
		}
		if got, want := out.n-start, tensorBytes(t); got != want && out.err == nil {
			return fmt.Errorf("cannot write tensor %q: got %d bytes for %v of shape %v, which has %d", t.Name, got, t.DType, t.Shape, want)
		}
	}
	out.pad()
	if out.err != nil {
		return out.err
	}
	return out.w.Flush()
}

// Size returns how many bytes Write writes for these arguments.
func Size(meta *quant.Meta, infos []quant.Tensor) (int, error) {
	head, err := header(meta, infos)
	n := padded(len(head))
	for _, t := range infos {
		n += padded(tensorBytes(t))
	}
	return n, err
}

// counter passes bytes on, counts them, and keeps the first error.
type counter struct {
	w   *bufio.Writer
	n   int
	err error
}

func (c *counter) Write(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(b)
	c.n += n
	c.err = err
	return n, err
}

func (c *counter) pad() { c.Write(make([]byte, padded(c.n)-c.n)) }

func padded(n int) int { n, _ = bounds.Pad(n, defaultAlignment); return n }

func tensorBytes(t quant.Tensor) int { return t.Rows() * t.DType.RowBytes(t.Cols()) }

// header returns all that precedes the padding before the first tensor.
func header(meta *quant.Meta, infos []quant.Tensor) ([]byte, error) {
	keys := make([]string, 0, len(meta.Keys()))
	for _, k := range meta.Keys() {
		if k != alignmentKey {
			keys = append(keys, k)
		}
	}
	b := append([]byte(magic), 3, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(infos)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(keys)))
	var err error
	for _, k := range keys {
		b = appendString(b, k)
		if b, err = appendValue(b, meta.Get(k)); err != nil {
			return nil, fmt.Errorf("cannot write metadata key %q: %w", k, err)
		}
	}
	return appendInfos(b, infos), nil
}

func appendInfos(b []byte, infos []quant.Tensor) []byte {
	offset := 0
	for _, t := range infos {
		b = appendString(b, t.Name)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Shape)))
		for i := range t.Shape {
			b = binary.LittleEndian.AppendUint64(b, uint64(t.Shape[len(t.Shape)-1-i]))
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(t.DType))
		b = binary.LittleEndian.AppendUint64(b, uint64(offset))
		offset += padded(tensorBytes(t))
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue appends a value's type and the value.
func appendValue(b []byte, v any) ([]byte, error) {
	k, n, ok := kindOf(v)
	if !ok {
		return nil, fmt.Errorf("a value of type %T has no GGUF type", v)
	}
	if n < 0 {
		b = binary.LittleEndian.AppendUint32(b, uint32(k))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(kindArray))
		b = binary.LittleEndian.AppendUint32(b, uint32(k))
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	switch x := v.(type) {
	case string:
		return appendString(b, x), nil
	case []string:
		for _, s := range x {
			b = appendString(b, s)
		}
		return b, nil
	}
	return binary.Append(b, binary.LittleEndian, v)
}

// kindOf returns the kind of a value, or of an array's elements with the array's
// length; the length of a value that is no array is -1.
func kindOf(v any) (k kind, n int, ok bool) {
	switch x := v.(type) {
	case uint8:
		return kindU8, -1, true
	case int8:
		return kindI8, -1, true
	case uint16:
		return kindU16, -1, true
	case int16:
		return kindI16, -1, true
	case uint32:
		return kindU32, -1, true
	case int32:
		return kindI32, -1, true
	case uint64:
		return kindU64, -1, true
	case int64:
		return kindI64, -1, true
	case float32:
		return kindF32, -1, true
	case float64:
		return kindF64, -1, true
	case bool:
		return kindBool, -1, true
	case string:
		return kindString, -1, true
	case []uint8:
		return kindU8, len(x), true
	case []int8:
		return kindI8, len(x), true
	case []uint16:
		return kindU16, len(x), true
	case []int16:
		return kindI16, len(x), true
	case []uint32:
		return kindU32, len(x), true
	case []int32:
		return kindI32, len(x), true
	case []uint64:
		return kindU64, len(x), true
	case []int64:
		return kindI64, len(x), true
	case []float32:
		return kindF32, len(x), true
	case []float64:
		return kindF64, len(x), true
	case []bool:
		return kindBool, len(x), true
	case []string:
		return kindString, len(x), true
	}
	return 0, 0, false
}
