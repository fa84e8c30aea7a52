package jinja

import "math/big"

// linearKeys is the size up to which a dict is searched without an index. Messages and tool
// schemas are smaller than this.
const linearKeys = 8

// Dict is a dictionary that keeps the order in which its keys were added.
type Dict struct {
	keys, vals []Value
	index      map[dictKey]int // position of each key; nil while the dict is small
	frozen     bool
}

// dictKey is a comparable form of a hashable value: 1, 1.0 and True are the same key.
type dictKey struct {
	kind Kind
	n    int64
	s    string
}

// NewDict returns an empty dictionary with room for n keys.
func NewDict(n int) *Dict {
	room := make([]Value, 2*n)
	return &Dict{keys: room[:0:n], vals: room[n:n]}
}

// Map returns a dictionary of the same keys with the values that fn gives. It shares d's
// keys, so both are to be made Values of.
func (d *Dict) Map(fn func(key string, v Value) Value) *Dict {
	d.frozen = true
	out := &Dict{keys: d.keys, vals: make([]Value, len(d.vals)), index: d.index, frozen: true}
	for i, v := range d.vals {
		out.vals[i] = fn(d.keys[i].Str(), v)
	}
	return out
}

// Len returns the number of keys.
func (d *Dict) Len() int { return len(d.keys) }

// At returns key and value number i in order of insertion.
func (d *Dict) At(i int) (key string, v Value) { return d.keys[i].Str(), d.vals[i] }

// Get returns the value of a string key.
func (d *Dict) Get(key string) (Value, bool) {
	if d.index == nil {
		for i := range d.keys {
			if d.keys[i].s == key && d.keys[i].kind == KindString {
				return d.vals[i], true
			}
		}
		return Value{}, false
	}
	return d.get(Text(key))
}

// Set adds key with value v, or replaces its value in place. The key is untrusted text. It
// must not be called on a dict that a Value was made of.
func (d *Dict) Set(key string, v Value) { d.set(Text(key), v) }

func (d *Dict) get(key Value) (Value, bool) {
	if i := d.find(key); i >= 0 {
		return d.vals[i], true
	}
	return Value{}, false
}

func (d *Dict) find(key Value) int {
	k, ok := hash(key)
	if !ok {
		return -1
	}
	if d.index != nil {
		if i, ok := d.index[k]; ok {
			return i
		}
		return -1
	}
	for i := range d.keys {
		if have, _ := hash(d.keys[i]); have == k {
			return i
		}
	}
	return -1
}

func (d *Dict) set(key, v Value) {
	if i := d.find(key); i >= 0 {
		d.vals[i] = v
		return
	}
	d.keys, d.vals = append(d.keys, key), append(d.vals, v)
	if d.index != nil {
		k, _ := hash(key)
		d.index[k] = len(d.keys) - 1
	} else if len(d.keys) > linearKeys {
		d.reindex()
	}
}

func (d *Dict) reindex() {
	d.index = make(map[dictKey]int, 2*len(d.keys))
	for i, key := range d.keys {
		k, _ := hash(key)
		d.index[k] = i
	}
}

func (d *Dict) remove(i int) {
	d.keys = append(d.keys[:i:i], d.keys[i+1:]...)
	d.vals = append(d.vals[:i:i], d.vals[i+1:]...)
	if d.index != nil {
		d.reindex()
	}
}

func (d *Dict) clone() *Dict {
	c := &Dict{keys: append([]Value(nil), d.keys...), vals: append([]Value(nil), d.vals...)}
	if len(c.keys) > linearKeys {
		c.reindex()
	}
	return c
}

// hash gives the comparable form of v; ok is false for values Python cannot hash.
func hash(v Value) (k dictKey, ok bool) {
	switch v.kind {
	case KindString:
		return dictKey{kind: KindString, s: v.s}, true
	case KindBool, KindInt:
		if b, big := v.ref.(*big.Int); big {
			return dictKey{kind: KindInt, s: b.String()}, true
		}
		return dictKey{kind: KindInt, n: v.n}, true
	case KindFloat:
		if f := v.float(); f == float64(int64(f)) && f < 1<<62 && f > -(1<<62) {
			return dictKey{kind: KindInt, n: int64(f)}, true
		}
		return dictKey{kind: KindFloat, n: v.n}, true
	case KindNone, KindUndefined:
		return dictKey{kind: v.kind}, true
	case KindTuple:
		return hashTuple(v)
	}
	return dictKey{}, false
}

// maxTupleKey is the most elements of a tuple that can be a key.
const maxTupleKey = 16

// hashTuple writes the keys of the elements one after another with their lengths, which is
// unambiguous.
func hashTuple(v Value) (dictKey, bool) {
	var b []byte
	if len(v.list().items) > maxTupleKey {
		return dictKey{}, false
	}
	for _, item := range v.list().items {
		if item.kind == KindTuple {
			return dictKey{}, false // nested tuples as keys occur in no template
		}
		k, ok := hash(item)
		if !ok {
			return dictKey{}, false
		}
		b = append(b, byte(k.kind))
		b = appendInt(appendInt(b, k.n), int64(len(k.s)))
		b = append(b, k.s...)
	}
	return dictKey{kind: KindTuple, s: string(b)}, true
}

func appendInt(b []byte, n int64) []byte {
	for range 8 {
		b = append(b, byte(n))
		n >>= 8
	}
	return b
}
