package jinja

// methodFunc is a method of a Python type: v.name(a).
type methodFunc func(r *render, v Value, a *args) Value

// methods are what the types have under one name; nil where a type has nothing.
type methods struct{ str, list, dict, tuple methodFunc }

func methodsNamed(name string) methods {
	return methods{strMethods[name], listMethods[name], dictMethods[name], tupleMethods[name]}
}

// methodNamed is the method of one type, nil where it has none of the name.
func methodNamed(k Kind, name string) methodFunc {
	switch k {
	case KindString:
		return strMethods[name]
	case KindList:
		return listMethods[name]
	case KindDict:
		return dictMethods[name]
	case KindTuple:
		return tupleMethods[name]
	}
	return nil
}

func (m *methods) of(k Kind) methodFunc {
	switch k {
	case KindString:
		return m.str
	case KindList:
		return m.list
	case KindDict:
		return m.dict
	case KindTuple:
		return m.tuple
	}
	return nil
}

var dictMethods = map[string]methodFunc{
	"get":        dictGet,
	"items":      func(r *render, v Value, a *args) Value { return newList(r.pairs(v.dict())) },
	"keys":       func(r *render, v Value, a *args) Value { return r.listCopy(v.dict().keys) },
	"values":     func(r *render, v Value, a *args) Value { return r.listCopy(v.dict().vals) },
	"copy":       dictCopy,
	"pop":        dictPop,
	"setdefault": dictSetDefault,
	"update":     dictUpdate,
}

func (r *render) listCopy(items []Value) Value {
	r.allocList(len(items))
	return newList(append([]Value(nil), items...))
}

func dictGet(r *render, v Value, a *args) Value {
	b := a.bind(r, "get", "key", "default")
	if _, ok := hash(b[0]); !ok {
		r.fail("unhashable type: '%s'", b[0].typeName())
	}
	if got, ok := v.dict().get(b[0]); ok {
		return got
	}
	if b[1].isMissing() {
		return None()
	}
	return b[1]
}

func dictCopy(r *render, v Value, a *args) Value {
	r.allocList(2 * v.dict().Len())
	return Value{kind: KindDict, ref: v.dict().clone()}
}

// ownDict returns the storage of a dict that the template may modify.
func (r *render) ownDict(v Value) *Dict {
	if v.dict().frozen {
		r.fail("cannot modify a dict of the context")
	}
	r.allocList(2)
	return v.dict()
}

func dictPop(r *render, v Value, a *args) Value {
	b, d := a.bind(r, "pop", "key", "default"), r.ownDict(v)
	i := d.find(b[0])
	switch {
	case i >= 0:
		r.step(int64(d.Len()))
		got := d.vals[i]
		d.remove(i)
		return got
	case b[1].isMissing():
		r.fail("KeyError: %s", r.repr(b[0]).s)
	}
	return b[1]
}

func dictSetDefault(r *render, v Value, a *args) Value {
	b, d := a.bind(r, "setdefault", "key", "default"), r.ownDict(v)
	if got, ok := d.get(b[0]); ok {
		return got
	}
	if b[1].isMissing() {
		b[1] = None()
	}
	r.setItem(d, b[0], b[1])
	return b[1]
}

func dictUpdate(r *render, v Value, a *args) Value {
	d := r.ownDict(v)
	for _, other := range a.pos {
		if other.kind != KindDict {
			r.fail("update needs a dict, not %s", other.typeName())
		}
		r.allocList(2 * other.dict().Len())
		for i, k := range other.dict().keys {
			d.set(k, other.dict().vals[i])
		}
	}
	for i, name := range a.names {
		d.set(Trusted(name), a.kw[i])
	}
	return None()
}

// The methods that modify a list are refused by transformers and allowed by llama.cpp.
var listMethods = map[string]methodFunc{
	"append":  listAppend,
	"copy":    func(r *render, v Value, a *args) Value { return r.listCopy(v.list().items) },
	"count":   seqCount,
	"extend":  listExtend,
	"index":   seqIndex,
	"insert":  listInsert,
	"pop":     listPop,
	"reverse": listReverse,
}

var tupleMethods = map[string]methodFunc{"count": seqCount, "index": seqIndex}

// ownList returns the storage of a list that the template may modify.
func (r *render) ownList(v Value) *List {
	if v.list().frozen {
		r.fail("cannot modify a list of the context")
	}
	return v.list()
}

func listAppend(r *render, v Value, a *args) Value {
	b, l := a.bind(r, "append", "object"), r.ownList(v)
	r.allocList(1)
	l.items = append(l.items, b[0])
	return None()
}

func listExtend(r *render, v Value, a *args) Value {
	b, l := a.bind(r, "extend", "iterable"), r.ownList(v)
	items := r.iterate(b[0])
	r.allocList(len(items))
	l.items = append(l.items, items...)
	return None()
}

func listInsert(r *render, v Value, a *args) Value {
	b, l := a.bind(r, "insert", "index", "object"), r.ownList(v)
	n := len(l.items)
	at := r.sliceBound(b[0], 0, n, 1)
	r.allocList(n + 1)
	l.items = append(append(append(make([]Value, 0, n+1), l.items[:at]...), b[1]), l.items[at:]...)
	return None()
}

func listPop(r *render, v Value, a *args) Value {
	b, l := a.bind(r, "pop", "index"), r.ownList(v)
	n := len(l.items)
	at := n - 1
	if !b[0].isMissing() {
		if at = r.intArg(b[0]); at < 0 {
			at += n
		}
	}
	if at < 0 || at >= n {
		r.fail("pop index out of range")
	}
	got := l.items[at]
	r.allocList(n)
	l.items = append(append(make([]Value, 0, n-1), l.items[:at]...), l.items[at+1:]...)
	return got
}

func listReverse(r *render, v Value, a *args) Value {
	l, n := r.ownList(v), len(v.list().items)
	r.allocList(n)
	out := make([]Value, n)
	for i, item := range l.items {
		out[n-1-i] = item
	}
	l.items = out
	return None()
}

func seqCount(r *render, v Value, a *args) Value {
	b, n := a.bind(r, "count", "value"), int64(0)
	for _, item := range v.list().items {
		if r.equal(item, b[0]) {
			n++
		}
	}
	return Int(n)
}

func seqIndex(r *render, v Value, a *args) Value {
	b := a.bind(r, "index", "value")
	for i, item := range v.list().items {
		if r.equal(item, b[0]) {
			return Int(int64(i))
		}
	}
	r.fail("%s is not in the list", r.repr(b[0]).s)
	return Value{}
}
