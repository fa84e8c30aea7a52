package jinja

// expr is a node of an expression. Nodes are immutable after Parse.
type expr interface {
	eval(r *render) Value
}

type (
	litExpr  struct{ v Value }
	nameExpr struct {
		id   int
		name string
	}
	listExpr struct {
		items []expr
		tuple bool
	}
	dictExpr struct{ keys, vals []expr }
	attrExpr struct {
		obj  expr
		name string
		m    methods // what Python's types have under this name
	}
	indexExpr struct{ obj, index expr }
	sliceExpr struct{ obj, from, to, step expr } // absent parts are nil
	callExpr  struct {
		callee expr
		args   callArgs
		line   int
	}
	filterExpr struct {
		arg  expr // nil in filter blocks
		name string
		fn   filterFunc // nil for an unknown name, which fails when reached, as in jinja2
		args callArgs
		line int
	}
	testExpr struct {
		arg  expr
		name string
		fn   testFunc
		args callArgs
		line int
	}
	condExpr  struct{ cond, yes, no expr } // no may be nil
	logicExpr struct {
		a, b expr
		or   bool
	}
	notExpr  struct{ a expr }
	signExpr struct {
		a      expr
		negate bool
	}
	compareExpr struct {
		first expr
		ops   []string
		rest  []expr
	}
	arithExpr struct { // first op[0] rest[0] op[1] rest[1] ..., from the left
		first expr
		ops   []string
		rest  []expr
	}
	concatExpr struct{ items []expr }
)

// eval evaluates e under the step and depth budgets. Every nested evaluation passes here.
func (r *render) eval(e expr) Value {
	if r.steps++; r.steps >= r.check {
		r.checkSteps()
	}
	switch leaf := e.(type) { // most nodes are leaves
	case *litExpr:
		return leaf.v
	case *nameExpr:
		return leaf.eval(r)
	}
	if r.nodes++; r.nodes > nodeDepth {
		r.overrun("recursion depth", nodeDepth)
	}
	v := e.eval(r)
	r.nodes--
	return v
}

func (e *litExpr) eval(*render) Value { return e.v }

func (e *nameExpr) eval(r *render) Value {
	v := r.lookup(e.id)
	if v.kind == KindUndefined && v.s == "" {
		v.s = e.name
	}
	return v
}

func (e *listExpr) eval(r *render) Value {
	r.allocList(len(e.items))
	items := make([]Value, len(e.items))
	for i, item := range e.items {
		items[i] = r.eval(item)
	}
	if e.tuple {
		return newTuple(items)
	}
	return newList(items)
}

func (e *dictExpr) eval(r *render) Value {
	r.allocList(2 * len(e.keys))
	d := NewDict(len(e.keys))
	for i, k := range e.keys {
		key := r.eval(k)
		r.setItem(d, key, r.eval(e.vals[i]))
	}
	return Value{kind: KindDict, ref: d}
}

func (r *render) setItem(d *Dict, key, v Value) {
	if _, ok := hash(key); !ok {
		r.fail("unhashable type: '%s'", key.typeName())
	}
	d.set(key, v)
}

func (e *attrExpr) eval(r *render) Value {
	obj := r.eval(e.obj)
	return r.attr(obj, e.name, e.m.of(obj.kind))
}

func (e *indexExpr) eval(r *render) Value {
	obj := r.eval(e.obj)
	return r.index(obj, r.eval(e.index))
}

func (e *sliceExpr) eval(r *render) Value {
	obj := r.eval(e.obj)
	part := func(e expr) Value {
		if e == nil {
			return None()
		}
		return r.eval(e)
	}
	return r.slice(obj, part(e.from), part(e.to), part(e.step))
}

func (e *callExpr) eval(r *render) Value {
	if at, ok := e.callee.(*attrExpr); ok {
		obj := r.eval(at.obj)
		if fn := at.m.of(obj.kind); fn != nil {
			a := e.args.eval(r)
			r.line = e.line
			v := fn(r, obj, a)
			r.release(a)
			return v
		}
		return e.call(r, r.attr(obj, at.name, nil))
	}
	return e.call(r, r.eval(e.callee))
}

func (e *callExpr) call(r *render, callee Value) Value {
	a := e.args.eval(r)
	r.line = e.line
	v := r.call(callee, a)
	r.release(a)
	r.line = e.line
	return v
}

func (e *filterExpr) eval(r *render) Value { return e.apply(r, r.eval(e.arg)) }

func (e *filterExpr) apply(r *render, v Value) Value {
	r.line = e.line
	if e.fn == nil {
		r.fail("No filter named '%s'.", e.name)
	}
	a := e.args.eval(r)
	v = e.fn(r, v, a)
	r.release(a)
	return v
}

func (e *testExpr) eval(r *render) Value {
	v := r.eval(e.arg)
	r.line = e.line
	if e.fn == nil {
		r.fail("No test named '%s'.", e.name)
	}
	a := e.args.eval(r)
	ok := e.fn(r, v, a)
	r.release(a)
	return Bool(ok)
}

func (e *condExpr) eval(r *render) Value {
	switch {
	case r.eval(e.cond).truth():
		return r.eval(e.yes)
	case e.no == nil:
		return Value{s: "the inline if-expression without an else section"}
	}
	return r.eval(e.no)
}

func (e *logicExpr) eval(r *render) Value {
	if a := r.eval(e.a); a.truth() == e.or {
		return a
	}
	return r.eval(e.b)
}

func (e *notExpr) eval(r *render) Value { return Bool(!r.eval(e.a).truth()) }

func (e *signExpr) eval(r *render) Value {
	v := r.eval(e.a)
	if !e.negate {
		if !v.isNumber() {
			r.operandError("unary +", v, v)
		}
		return r.arith("+", Int(0), v)
	}
	if v.kind == KindFloat {
		return Float(-v.float())
	}
	return r.arith("-", Int(0), v)
}

func (e *compareExpr) eval(r *render) Value {
	left, ok := r.eval(e.first), true
	for i, op := range e.ops {
		right := r.eval(e.rest[i])
		if ok = r.compareOp(op, left, right); !ok {
			return Bool(false)
		}
		left = right
	}
	return Bool(ok)
}

// eval runs a chain of operators of one precedence. Runs of string additions are gathered in
// one buffer instead of copying the growing string at every step.
func (e *arithExpr) eval(r *render) Value {
	left := r.eval(e.first)
	for i := 0; i < len(e.ops); i++ {
		right := r.eval(e.rest[i])
		if e.ops[i] == "+" && plain(left) && plain(right) {
			t := r.takeText()
			t.addString(left)
			r.addPlain(t, right)
			for i+1 < len(e.ops) && e.ops[i+1] == "+" {
				i++
				if right = r.eval(e.rest[i]); !plain(right) {
					break
				}
				r.addPlain(t, right)
			}
			left = r.finish(t)
			if plain(right) {
				continue
			}
		}
		left = r.arith(e.ops[i], left, right)
	}
	return left
}

// plain reports whether v is a string that addition does not escape.
func plain(v Value) bool { return v.kind == KindString && v.flag&flagMarkup == 0 }

func (r *render) addPlain(t *text, v Value) {
	t.addString(v)
	r.checkOutput(t)
}

func (e *concatExpr) eval(r *render) Value {
	t := r.takeText()
	for _, item := range e.items {
		v := r.eval(item)
		t.addString(r.str(v))
		r.checkOutput(t)
	}
	return r.finish(t)
}

// callArgs are the arguments of a call as written.
type callArgs struct {
	pos        []expr
	names      []string // of kw
	kw         []expr
	star, dict expr // *args and **kwargs, or nil
}

// args are evaluated arguments, valid until the call returns. They lie on the stack of the
// render from base on.
type args struct {
	pos   []Value
	names []string
	kw    []Value
	base  int
}

// takeArgs returns empty arguments, which release takes back.
func (r *render) takeArgs() *args {
	n := len(r.args)
	if n == 0 {
		return &args{base: len(r.stack)}
	}
	a := r.args[n-1]
	r.args = r.args[:n-1]
	*a = args{base: len(r.stack)}
	return a
}

func (r *render) release(a *args) {
	r.stack = r.stack[:a.base]
	r.args = append(r.args, a)
}

func (c *callArgs) eval(r *render) *args {
	a := r.takeArgs()
	if len(c.pos)+len(c.kw) == 0 && c.star == nil && c.dict == nil {
		return a
	}
	for _, e := range c.pos {
		v := r.eval(e)
		r.stack = append(r.stack, v)
	}
	if c.star != nil {
		items := r.iterate(r.eval(c.star))
		r.allocList(len(items))
		r.stack = append(r.stack, items...)
	}
	a.pos, a.names = r.stack[a.base:len(r.stack):len(r.stack)], c.names
	kw := len(r.stack)
	for _, e := range c.kw {
		v := r.eval(e)
		r.stack = append(r.stack, v)
	}
	a.kw = r.stack[kw:len(r.stack):len(r.stack)]
	if c.dict != nil {
		c.spread(r, a)
	}
	return a
}

func (c *callArgs) spread(r *render, a *args) {
	v := r.eval(c.dict)
	if v.kind != KindDict {
		r.fail("argument after ** must be a mapping, not %s", v.typeName())
	}
	d := v.dict()
	r.allocList(d.Len())
	a.names, a.kw = append([]string(nil), a.names...), append([]Value(nil), a.kw...)
	for i, k := range d.keys {
		a.names, a.kw = append(a.names, k.s), append(a.kw, d.vals[i])
	}
}

// maxParams is the most parameters a filter, test or method here has.
const maxParams = 5

// bind sorts the arguments of function fn under the names of its parameters; those not given
// are missing. Too many or unknown arguments fail.
func (a *args) bind(r *render, fn string, params ...string) (out [maxParams]Value) {
	for i := range out {
		out[i] = Value{flag: flagMissing}
	}
	if len(a.pos) > len(params) {
		r.fail("%s() takes at most %d arguments (%d given)", fn, len(params), len(a.pos))
	}
	copy(out[:], a.pos)
next:
	for i, name := range a.names {
		for j, p := range params {
			if p == name {
				out[j] = a.kw[i]
				continue next
			}
		}
		r.fail("%s() got an unexpected keyword argument '%s'", fn, name)
	}
	return out
}
