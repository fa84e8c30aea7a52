package gguf

import (
	"encoding/binary"
	"math"
)

// scalar reads a value of a kind that is neither string nor array.
func (p *parser) scalar(key string, k kind) any {
	switch k {
	case kindU8:
		return p.U8(key)
	case kindI8:
		return int8(p.U8(key))
	case kindU16:
		return p.U16(key)
	case kindI16:
		return int16(p.U16(key))
	case kindU32:
		return p.U32(key)
	case kindI32:
		return int32(p.U32(key))
	case kindF32:
		return p.F32(key)
	case kindBool:
		return p.bools(key, p.Bytes(key, 1))[0]
	case kindU64:
		return p.U64(key)
	case kindI64:
		return int64(p.U64(key))
	case kindF64:
		return math.Float64frombits(p.U64(key))
	}
	p.Fail("type of "+key, "%v is no known value type", k)
	return nil
}

// array reads an element type, a count and the elements.
func (p *parser) array(key string) any {
	k := kind(p.U32("element type of " + key))
	if p.Err() == nil && (k == kindArray || int(k) >= len(kindBytes)) {
		p.Fail("element type of "+key, "%v cannot be an array's element", k)
	}
	if p.Err() != nil {
		return nil
	}
	n := p.Count("length of "+key, math.MaxInt/8, kindBytes[k])
	if k == kindString {
		return p.strings(key, n)
	}
	return p.numbers(key, k, p.Bytes(key, uint64(n*kindBytes[k])), n)
}

// strings reads n strings. Tokens may be any bytes, so UTF-8 is not demanded of an
// array's elements.
func (p *parser) strings(key string, n int) []string {
	out := make([]string, 0, n)
	for range n {
		s := p.String(key, maxString)
		if p.Err() != nil {
			return nil
		}
		out = append(out, s)
	}
	return out
}

// numbers decodes the n elements that b holds.
func (p *parser) numbers(key string, k kind, b []byte, n int) any {
	switch k {
	case kindU8:
		return decode[uint8](b, n)
	case kindI8:
		return decode[int8](b, n)
	case kindU16:
		return decode[uint16](b, n)
	case kindI16:
		return decode[int16](b, n)
	case kindU32:
		return decode[uint32](b, n)
	case kindI32:
		return decode[int32](b, n)
	case kindF32:
		return decode[float32](b, n)
	case kindU64:
		return decode[uint64](b, n)
	case kindI64:
		return decode[int64](b, n)
	case kindF64:
		return decode[float64](b, n)
	default:
		return p.bools(key, b)[:n]
	}
}

// number is any fixed-size type that an array holds.
type number interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32 | float64
}

func decode[T number](b []byte, n int) []T {
	out := make([]T, n)
	if len(b) > 0 {
		if _, err := binary.Decode(b, binary.LittleEndian, out); err != nil {
			panic("BUG: " + err.Error())
		}
	}
	return out
}

// bools decodes b, one byte a value, and refuses bytes other than 0 and 1. After a
// failure it returns one false, so that a caller may take the first.
func (p *parser) bools(key string, b []byte) []bool {
	out := make([]bool, max(len(b), 1))
	for i, v := range b {
		if v > 1 {
			p.Fail(key, "byte %d is no bool", v)
		}
		out[i] = v == 1
	}
	return out
}
