package jinja

type forStmt struct {
	target       target
	iter, filter expr
	recursive    bool
	body, other  []stmt
	loopID, line int
}

// loop is the loop variable of a for statement.
type loop struct {
	stmt    *forStmt
	outer   *scope // of the for statement, for recursion
	items   []Value
	i       int
	depth   int
	changed Value // arguments of the last loop.changed
}

func (s *forStmt) exec(r *render) signal {
	r.line = s.line
	s.run(r, r.eval(s.iter), r.scope, 1)
	return proceed
}

// run executes the loop over v in a scope inside outer. Variables set in the body last for
// one iteration.
func (s *forStmt) run(r *render, v Value, outer *scope, depth int) {
	back := r.scope
	lp := &loop{stmt: s, outer: outer, items: r.iterate(v), depth: depth}
	inner := r.push(outer)
	if s.filter != nil {
		lp.items = s.filtered(r, inner, lp.items)
	}
	for lp.i = 0; lp.i < len(lp.items); lp.i++ {
		r.step(1)
		inner.ids, inner.vals = inner.ids[:0], inner.vals[:0]
		r.assignTo(s.target, lp.items[lp.i])
		inner.set(s.loopID, object(lp))
		if r.exec(s.body) == breakLoop {
			break
		}
	}
	inner.ids, inner.vals = inner.ids[:0], inner.vals[:0]
	if len(lp.items) == 0 {
		r.exec(s.other)
	}
	r.pop(back)
}

func (s *forStmt) filtered(r *render, inner *scope, items []Value) []Value {
	r.allocList(len(items))
	kept := make([]Value, 0, len(items))
	for _, item := range items {
		inner.ids, inner.vals = inner.ids[:0], inner.vals[:0]
		r.assignTo(s.target, item)
		if r.eval(s.filter).truth() {
			kept = append(kept, item)
		}
	}
	return kept
}

func (l *loop) attr(r *render, name string) Value {
	n := len(l.items)
	switch name {
	case "index":
		return Int(int64(l.i + 1))
	case "index0":
		return Int(int64(l.i))
	case "first":
		return Bool(l.i == 0)
	case "last":
		return Bool(l.i == n-1)
	case "length":
		return Int(int64(n))
	case "revindex":
		return Int(int64(n - l.i))
	case "revindex0":
		return Int(int64(n - l.i - 1))
	case "depth":
		return Int(int64(l.depth))
	case "depth0":
		return Int(int64(l.depth - 1))
	case "previtem":
		if l.i > 0 {
			return l.items[l.i-1]
		}
		return Value{s: "there is no previous item"}
	case "nextitem":
		if l.i < n-1 {
			return l.items[l.i+1]
		}
		return Value{s: "there is no next item"}
	case "cycle":
		return object(function(l.cycle))
	case "changed":
		return object(function(l.hasChanged))
	}
	return Value{own: KindObject, n: 1, s: name}
}

func (l *loop) cycle(r *render, a *args) Value {
	if len(a.pos) == 0 {
		r.fail("no items for cycling given")
	}
	return a.pos[l.i%len(a.pos)]
}

func (l *loop) hasChanged(r *render, a *args) Value {
	now := newTuple(append([]Value(nil), a.pos...))
	if l.changed.kind == KindTuple && r.equal(now, l.changed) {
		return Bool(false)
	}
	l.changed = now
	return Bool(true)
}

// call runs the body again over other items: loop(item.children) in a recursive loop.
func (l *loop) call(r *render, a *args) Value {
	if !l.stmt.recursive {
		r.fail("the loop must have the 'recursive' marker to be called recursively")
	}
	b := a.bind(r, "loop", "iterable")
	r.enter()
	outer := r.out
	r.out = r.takeText()
	l.stmt.run(r, b[0], l.outer, l.depth+1)
	v := r.finish(r.out)
	r.out = outer
	r.leave()
	return v
}
