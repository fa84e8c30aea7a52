package jinja

import (
	"math"
	"math/big"
)

// Kind names the type of a Value.
type Kind uint8

// The kinds. The names in typeNames are what Python calls the same types.
const (
	KindUndefined Kind = iota // an absent name, key or element; falsy and prints as nothing
	KindNone
	KindBool
	KindInt
	KindFloat
	KindString
	KindList
	KindTuple
	KindDict
	KindNamespace // the mutable object of {% set ns.x = ... %}
	KindObject    // macros, functions, bound methods and the loop variable
)

var typeNames = [...]string{"Undefined", "NoneType", "bool", "int", "float", "str", "list", "tuple", "dict", "Namespace", "builtin_function_or_method"}

// String returns Python's name of the type.
func (k Kind) String() string { return typeNames[k] }

type flag uint8

const (
	flagTrusted flag = 1 << iota // string: every byte comes from the template
	flagMarkup                   // string: made by safe or escape, escapes what is added to it
	flagMissing                  // undefined: an argument that was not given
)

// Value is one value of the template language: a small immutable struct that is passed by
// value. Lists, dicts and namespaces are references, as in Python. Strings are UTF-8 and know
// for each byte whether it came from the template (trusted) or from the context. The zero
// Value is undefined. Values made by FromJSON and the constructors may be shared by
// goroutines, because templates cannot modify what they did not make.
type Value struct {
	kind Kind
	flag flag
	own  Kind   // undefined: kind of the value that lacks the attribute or element
	n    int64  // bool, int; bits of a float; undefined: 1 where own is meant
	s    string // string; undefined: the name that was looked up
	ref  any    // *List, *Dict, *big.Int, marks of a mixed string, or an object
}

// List is the storage of a list or tuple.
type List struct {
	items  []Value
	frozen bool // came from the context, so the template may not modify it
}

// None returns Python's None, which JSON calls null.
func None() Value { return Value{kind: KindNone} }

// Bool returns True or False.
func Bool(b bool) Value {
	if b {
		return Value{kind: KindBool, n: 1}
	}
	return Value{kind: KindBool}
}

// Int returns an integer.
func Int(i int64) Value { return Value{kind: KindInt, n: i} }

// Float returns a floating-point number.
func Float(f float64) Value { return Value{kind: KindFloat, n: int64(math.Float64bits(f))} }

// Text returns an untrusted string: text of a user, in which control tokens mean nothing.
// It must be valid UTF-8.
func Text(s string) Value { return Value{kind: KindString, s: s} }

// Trusted returns a string whose control tokens count, such as bos_token.
func Trusted(s string) Value { return Value{kind: KindString, flag: flagTrusted, s: s} }

// ListOf returns a list that templates cannot modify; it keeps items.
func ListOf(items ...Value) Value {
	return Value{kind: KindList, ref: &List{items: items, frozen: true}}
}

// DictOf returns d as a Value. The caller does not change d afterwards.
func DictOf(d *Dict) Value {
	d.frozen = true
	return Value{kind: KindDict, ref: d}
}

func newList(items []Value) Value  { return Value{kind: KindList, ref: &List{items: items}} }
func newTuple(items []Value) Value { return Value{kind: KindTuple, ref: &List{items: items}} }
func object(o any) Value           { return Value{kind: KindObject, ref: o} }

func bigInt(b *big.Int) Value {
	if b.IsInt64() {
		return Int(b.Int64())
	}
	return Value{kind: KindInt, ref: b}
}

// Kind returns the type of v.
func (v Value) Kind() Kind { return v.kind }

// Str returns the text of a string and "" for any other kind.
func (v Value) Str() string {
	if v.kind != KindString {
		return ""
	}
	return v.s
}

// Items returns the elements of a list or tuple, nil for any other kind. The caller does not
// modify them.
func (v Value) Items() []Value {
	if v.kind != KindList && v.kind != KindTuple {
		return nil
	}
	return v.list().items
}

// Dict returns the storage of a dict, nil for any other kind. The caller does not modify it.
func (v Value) Dict() *Dict {
	if v.kind != KindDict {
		return nil
	}
	return v.dict()
}

func (v Value) list() *List    { return v.ref.(*List) }
func (v Value) dict() *Dict    { return v.ref.(*Dict) }
func (v Value) float() float64 { return math.Float64frombits(uint64(v.n)) }

func (v Value) isMissing() bool   { return v.kind == KindUndefined && v.flag&flagMissing != 0 }
func (v Value) isUndefined() bool { return v.kind == KindUndefined }
func (v Value) isSequence() bool  { return v.kind == KindList || v.kind == KindTuple }
func (v Value) isInteger() bool   { return v.kind == KindInt || v.kind == KindBool }
func (v Value) isNumber() bool    { return v.isInteger() || v.kind == KindFloat }

// big returns an integer or bool as a big.Int that the caller does not modify.
func (v Value) big() *big.Int {
	if b, ok := v.ref.(*big.Int); ok {
		return b
	}
	return big.NewInt(v.n)
}

// number returns a bool, int or float as a float.
func (v Value) number() float64 {
	switch b, ok := v.ref.(*big.Int); {
	case ok:
		f, _ := new(big.Float).SetInt(b).Float64()
		return f
	case v.kind == KindFloat:
		return v.float()
	}
	return float64(v.n)
}

// truth is Python's bool(v).
func (v Value) truth() bool {
	switch v.kind {
	case KindUndefined, KindNone:
		return false
	case KindBool, KindInt:
		return v.n != 0 || v.ref != nil
	case KindFloat:
		return v.float() != 0
	case KindString:
		return v.s != ""
	case KindList, KindTuple:
		return len(v.list().items) > 0
	case KindDict:
		return v.dict().Len() > 0
	}
	return true
}

// typeName is what Python's type(v).__name__ gives.
func (v Value) typeName() string {
	if v.kind != KindObject {
		return v.kind.String()
	}
	switch v.ref.(type) {
	case *macro:
		return "Macro"
	case *loop:
		return "LoopContext"
	}
	return v.kind.String()
}
