package quant

import (
	"errors"
	"fmt"
)

// ErrNoTensor is wrapped by Source.Tensor for a name that the model lacks.
var ErrNoTensor = errors.New("no such tensor")

// Meta is a model's metadata: GGUF keys in file order with values of the Go types
// uint8 int8 uint16 int16 uint32 int32 uint64 int64 float32 float64 bool string, or
// a slice of one of them. The zero value is empty and ready to use. It is safe for
// concurrent reading.
type Meta struct {
	keys   []string
	values map[string]any
}

// Keys returns the keys in order; callers must not change the slice.
func (m *Meta) Keys() []string { return m.keys }

// Get returns the value under key, or nil.
func (m *Meta) Get(key string) any { return m.values[key] }

// Has reports whether key is present.
func (m *Meta) Has(key string) bool { _, ok := m.values[key]; return ok }

// Set adds or replaces the value under key.
func (m *Meta) Set(key string, value any) {
	if m.values == nil {
		m.values = map[string]any{}
	}
	if _, ok := m.values[key]; !ok {
		m.keys = append(m.keys, key)
	}
	m.values[key] = value
}

// Delete removes key if it is present.
func (m *Meta) Delete(key string) {
	if _, ok := m.values[key]; !ok {
		return
	}
	delete(m.values, key)
	for i, k := range m.keys {
		if k == key {
			m.keys = append(m.keys[:i:i], m.keys[i+1:]...)
			return
		}
	}
}

// Clone returns a copy whose keys can be changed apart from m's; slices are shared.
func (m *Meta) Clone() *Meta {
	c := &Meta{}
	for _, k := range m.keys {
		c.Set(k, m.values[k])
	}
	return c
}

// String returns the string under key, or def if it is absent or no string.
func (m *Meta) String(key, def string) string {
	if s, ok := m.values[key].(string); ok {
		return s
	}
	return def
}

// Bool returns the bool under key, or def if it is absent or no bool.
func (m *Meta) Bool(key string, def bool) bool {
	if b, ok := m.values[key].(bool); ok {
		return b
	}
	return def
}

// Int returns the integer under key whatever its width, or def if it is absent or
// no integer that an int holds.
func (m *Meta) Int(key string, def int) int {
	if v, ok := toInt(m.values[key]); ok {
		return v
	}
	return def
}

// Float returns the number under key, or def if it is absent or no number.
func (m *Meta) Float(key string, def float64) float64 {
	switch v := m.values[key].(type) {
	case float32:
		return float64(v)
	case float64:
		return v
	}
	if v, ok := toInt(m.values[key]); ok {
		return float64(v)
	}
	return def
}

// Strings returns the array of strings under key, or nil.
func (m *Meta) Strings(key string) []string { s, _ := m.values[key].([]string); return s }

// Ints returns the array of integers under key whatever their width (bools count as
// 0 and 1), or nil. A single integer gives an array of one.
func (m *Meta) Ints(key string) []int {
	switch v := m.values[key].(type) {
	case nil:
		return nil
	case []int32:
		return widen(v)
	case []uint32:
		return widen(v)
	case []int64:
		return widen(v)
	case []uint64:
		return widen(v)
	case []int16:
		return widen(v)
	case []uint16:
		return widen(v)
	case []int8:
		return widen(v)
	case []uint8:
		return widen(v)
	case []bool:
		out := make([]int, len(v))
		for i, b := range v {
			if b {
				out[i] = 1
			}
		}
		return out
	default:
		if n, ok := toInt(v); ok {
			return []int{n}
		}
		return nil
	}
}

// Floats returns the array of float32 under key, or nil.
func (m *Meta) Floats(key string) []float32 { f, _ := m.values[key].([]float32); return f }

// Need returns an error that names the first of the keys that is absent, or nil.
func (m *Meta) Need(keys ...string) error {
	for _, k := range keys {
		if !m.Has(k) {
			return fmt.Errorf("the model's metadata lacks %q", k)
		}
	}
	return nil
}

func widen[T int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64](v []T) []int {
	out := make([]int, len(v))
	for i, x := range v {
		out[i] = int(x)
	}
	return out
}

func toInt(v any) (int, bool) {
	switch x := v.(type) {
	case uint8:
		return int(x), true
	case int8:
		return int(x), true
	case uint16:
		return int(x), true
	case int16:
		return int(x), true
	case uint32:
		return int(x), true
	case int32:
		return int(x), true
	case uint64:
		return int(x), x <= 1<<62
	case int64:
		return int(x), true
	}
	return 0, false
}
