package jinja

import (
	"strconv"
	"unicode/utf8"
)

// attr is obj.name, where fn is the method of obj's type under the name or nil: what Python's type has under the name comes before a dict's key.
func (r *render) attr(obj Value, name string, fn methodFunc) Value {
	if fn != nil {
		return object(&method{obj, fn})
	}
	switch obj.kind {
	case KindUndefined:
		r.failUndefined(obj)
	case KindDict, KindNamespace:
		if v, ok := obj.dict().Get(name); ok {
			return v
		}
	case KindObject:
		switch o := obj.ref.(type) {
		case *loop:
			return o.attr(r, name)
		case *macro:
			return o.attr(name)
		case *cycler:
			return o.attr(name)
		}
	}
	return Value{own: obj.kind, n: 1, s: name}
}

// index is obj[i]: an element first, and for names an attribute where there is none.
func (r *render) index(obj, i Value) Value {
	switch obj.kind {
	case KindUndefined:
		r.failUndefined(obj)
	case KindDict, KindNamespace:
		if v, ok := obj.dict().get(i); ok {
			return v
		}
	case KindList, KindTuple, KindString:
		if i.isInteger() {
			return r.element(obj, i)
		}
	}
	if i.kind == KindString {
		return r.attr(obj, i.s, methodNamed(obj.kind, i.s))
	}
	return Value{own: obj.kind, n: 1, s: r.str(i).s}
}

// element is item number i of a list, tuple or string, counted from the end if negative.
func (r *render) element(obj, i Value) Value {
	n := r.length(obj)
	at := int(i.n)
	if at < 0 {
		at += n
	}
	if at < 0 || at >= n || i.ref != nil {
		return Value{own: obj.kind, n: 1, s: strconv.FormatInt(i.n, 10), ref: i}
	}
	if obj.kind != KindString {
		return obj.list().items[at]
	}
	from := byteOffset(obj.s, at)
	_, size := utf8.DecodeRuneInString(obj.s[from:])
	return obj.sub(from, from+size)
}

// byteOffset returns where rune number n of s begins.
func byteOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// length is len(v) of a string, list, tuple or dict.
func (r *render) length(v Value) int {
	switch v.kind {
	case KindUndefined:
		return 0
	case KindString:
		r.scan(len(v.s))
		return utf8.RuneCountInString(v.s)
	case KindList, KindTuple:
		return len(v.list().items)
	case KindDict:
		return v.dict().Len()
	}
	if l, ok := v.ref.(*loop); ok {
		return len(l.items)
	}
	r.fail("object of type '%s' has no len()", v.typeName())
	return 0
}

// slice is obj[from:to:step], where None means that a part is absent.
func (r *render) slice(obj, from, to, step Value) Value {
	if obj.isUndefined() {
		r.failUndefined(obj)
	}
	if obj.kind != KindString && !obj.isSequence() {
		r.fail("'%s' object is not subscriptable by a slice", obj.typeName())
	}
	n := r.length(obj)
	by := 1
	if step.kind != KindNone {
		by = r.intArg(step)
	}
	if by == 0 {
		r.fail("slice step cannot be zero")
	}
	lo, hi := 0, n
	if by < 0 {
		lo, hi = n-1, -1
	}
	lo, hi = r.sliceBound(from, lo, n, by), r.sliceBound(to, hi, n, by)
	if obj.kind == KindString {
		return r.sliceString(obj, lo, hi, by)
	}
	items := obj.list().items
	if by == 1 {
		items = items[lo:max(lo, hi):max(lo, hi)]
		r.allocList(len(items))
		items = append([]Value(nil), items...)
	} else {
		items = r.stride(items, lo, hi, by)
	}
	if obj.kind == KindTuple {
		return newTuple(items)
	}
	return newList(items)
}

// sliceBound resolves one bound of a slice over n items as Python does.
func (r *render) sliceBound(v Value, absent, n, step int) int {
	if v.kind == KindNone {
		return absent
	}
	i := r.intArg(v)
	if i < 0 {
		i += n
	}
	if step < 0 {
		return max(-1, min(i, n-1))
	}
	return max(0, min(i, n))
}

func (r *render) stride(items []Value, lo, hi, by int) []Value {
	r.allocList(len(items))
	var out []Value
	for i := lo; by > 0 && i < hi || by < 0 && i > hi; i += by {
		out = append(out, items[i])
	}
	return out
}

func (r *render) sliceString(obj Value, lo, hi, by int) Value {
	if by == 1 {
		if hi <= lo {
			return Trusted("")
		}
		from := byteOffset(obj.s, lo)
		return obj.sub(from, from+byteOffset(obj.s[from:], hi-lo))
	}
	t := r.takeText()
	for _, c := range r.stride(r.iterate(obj), lo, hi, by) {
		t.addString(c)
	}
	return r.finish(t)
}

// iterate returns what a for loop over v visits. The caller does not modify it.
func (r *render) iterate(v Value) []Value {
	switch v.kind {
	case KindUndefined:
		return nil
	case KindList, KindTuple:
		items := v.list().items
		return items[:len(items):len(items)]
	case KindDict:
		d := v.dict()
		return d.keys[:len(d.keys):len(d.keys)]
	case KindString:
		r.allocList(len(v.s))
		out := make([]Value, 0, len(v.s))
		for i, c := range v.s {
			out = append(out, v.sub(i, i+utf8.RuneLen(c)))
		}
		return out
	}
	if l, ok := v.ref.(*loop); ok {
		return l.items
	}
	r.fail("'%s' object is not iterable", v.typeName())
	return nil
}

// intArg is an argument that must be an integer; far ones become plus or minus 2^40, so that
// sums of a few of them do not overflow.
func (r *render) intArg(v Value) int {
	if !v.isInteger() {
		r.fail("'%s' object cannot be interpreted as an integer", v.typeName())
	}
	if v.ref != nil || v.n > 1<<40 || v.n < -(1<<40) {
		if v.big().Sign() < 0 {
			return -(1 << 40)
		}
		return 1 << 40
	}
	return int(v.n)
}

// strArg is an argument that must be a string.
func (r *render) strArg(v Value) string {
	if v.kind != KindString {
		r.fail("expected a string, got %s", v.typeName())
	}
	return v.s
}

// function is a builtin that templates can call.
type function func(r *render, a *args) Value

// method is a function of a type bound to the value it was taken from.
type method struct {
	obj Value
	fn  methodFunc
}

func (r *render) call(callee Value, a *args) Value {
	switch f := callee.ref.(type) {
	case function:
		return f(r, a)
	case *method:
		return f.fn(r, f.obj, a)
	case *macro:
		return f.call(r, a)
	case *loop:
		return f.call(r, a)
	}
	if callee.isUndefined() {
		r.failUndefined(callee)
	}
	r.fail("'%s' object is not callable", callee.typeName())
	return Value{}
}
