package jinja

// stmt is a statement. exec returns how control goes on.
type stmt interface {
	exec(r *render) signal
}

type signal uint8

const (
	proceed signal = iota
	breakLoop
	continueLoop
)

type (
	dataStmt struct{ s string }
	outStmt  struct {
		e    expr
		line int
	}
	ifStmt struct {
		conds  []expr
		bodies [][]stmt
		other  []stmt
		line   int
	}
	setStmt struct {
		target  target
		field   string // of a namespace, or ""
		value   expr   // nil for a block
		body    []stmt
		filters []*filterExpr
		line    int
	}
	filterStmt struct {
		filters []*filterExpr
		body    []stmt
		line    int
	}
	scopeStmt struct { // with and generation blocks
		ids    []int
		values []expr
		body   []stmt
		line   int
	}
	jumpStmt struct{ isBreak bool }
)

// target names the variables that an assignment sets.
type target struct {
	ids    []int
	unpack bool
}

func (r *render) exec(body []stmt) signal {
	for _, s := range body {
		r.step(1)
		if sig := s.exec(r); sig != proceed {
			return sig
		}
	}
	return proceed
}

func (s *dataStmt) exec(r *render) signal {
	r.out.add(s.s, true)
	r.checkOutput(r.out)
	return proceed
}

func (s *outStmt) exec(r *render) signal {
	r.line = s.line
	r.out.addString(r.str(r.eval(s.e)))
	r.checkOutput(r.out)
	return proceed
}

func (s *ifStmt) exec(r *render) signal {
	r.line = s.line
	for i, c := range s.conds {
		if r.eval(c).truth() {
			return r.exec(s.bodies[i])
		}
	}
	return r.exec(s.other)
}

func (s *setStmt) exec(r *render) signal {
	r.line = s.line
	var v Value
	if s.value != nil {
		v = r.eval(s.value)
	} else {
		outer := r.scope
		r.push(outer)
		v = r.capture(s.body)
		r.pop(outer)
		for _, f := range s.filters {
			v = f.apply(r, v)
		}
	}
	if s.field != "" {
		r.setField(r.lookup(s.target.ids[0]), s.field, v)
		return proceed
	}
	r.assignTo(s.target, v)
	return proceed
}

func (r *render) setField(ns Value, field string, v Value) {
	if ns.kind != KindNamespace {
		r.fail("cannot assign attribute '%s' on a value that is no namespace", field)
	}
	r.allocList(1)
	ns.dict().set(Trusted(field), v)
}

func (r *render) assignTo(t target, v Value) {
	if !t.unpack {
		r.assign(t.ids[0], v)
		return
	}
	items := r.iterate(v)
	if len(items) != len(t.ids) {
		r.fail("cannot unpack %d values into %d names", len(items), len(t.ids))
	}
	for i, id := range t.ids {
		r.assign(id, items[i])
	}
}

func (s *filterStmt) exec(r *render) signal {
	outer := r.scope
	r.push(outer)
	v := r.capture(s.body)
	r.pop(outer)
	for _, f := range s.filters {
		v = f.apply(r, v)
	}
	r.out.addString(r.str(v))
	r.checkOutput(r.out)
	return proceed
}

func (s *scopeStmt) exec(r *render) signal {
	vals := make([]Value, len(s.values))
	for i, e := range s.values {
		vals[i] = r.eval(e)
	}
	outer := r.scope
	inner := r.push(outer)
	for i, id := range s.ids {
		inner.set(id, vals[i])
	}
	sig := r.exec(s.body)
	r.pop(outer)
	return sig
}

func (s *jumpStmt) exec(*render) signal {
	if s.isBreak {
		return breakLoop
	}
	return continueLoop
}
