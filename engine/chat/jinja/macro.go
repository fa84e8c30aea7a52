package jinja

import "slices"

// macroDef is a macro or the body of a call block as written.
type macroDef struct {
	name                                string
	params                              []int
	paramNames                          []string
	defaults                            []expr // nil where there is none
	body                                []stmt
	callerID, varargsID, kwargsID       int
	usesVarargs, usesKwargs, usesCaller bool
}

type macroStmt struct {
	id  int
	def *macroDef
}

// macro is a macroDef with the scope it was defined in.
type macro struct {
	def   *macroDef
	scope *scope
}

func (s *macroStmt) exec(r *render) signal {
	r.assign(s.id, object(&macro{s.def, r.keep()}))
	return proceed
}

type callStmt struct {
	call *callExpr
	def  *macroDef
	line int
}

// callerExpr is the argument by which a call block hands its body to the macro.
type callerExpr struct{ def *macroDef }

func (e *callerExpr) eval(r *render) Value { return object(&macro{e.def, r.keep()}) }

func (s *callStmt) exec(r *render) signal {
	r.line = s.line
	r.out.addString(r.str(r.eval(s.call)))
	r.checkOutput(r.out)
	return proceed
}

func (m *macro) attr(name string) Value {
	switch name {
	case "name":
		return Trusted(m.def.name)
	case "caller":
		return Bool(m.def.usesCaller)
	}
	return Value{own: KindObject, n: 1, s: name}
}

// call renders the body with its parameters in a scope inside the one of the definition.
func (m *macro) call(r *render, a *args) Value {
	r.enter()
	back, line := r.scope, r.line
	inner := r.push(m.scope)
	m.bind(r, inner, a)
	v := r.capture(m.def.body)
	r.pop(back)
	r.line = line
	r.leave()
	return v
}

func (m *macro) bind(r *render, inner *scope, a *args) {
	d := m.def
	n := min(len(a.pos), len(d.params))
	for i := range n {
		inner.set(d.params[i], a.pos[i])
	}
	if len(a.pos) > n && !d.usesVarargs {
		r.fail("macro '%s' takes not more than %d argument(s)", d.name, len(d.params))
	}
	if d.usesVarargs {
		r.allocList(len(a.pos))
		inner.set(d.varargsID, newTuple(append([]Value(nil), a.pos[n:]...)))
	}
	m.bindNames(r, inner, a, n)
	for i := n; i < len(d.params); i++ {
		if a.named(d.paramNames[i]) {
			continue
		}
		v := Value{s: d.paramNames[i]}
		if d.defaults[i] != nil {
			v = r.eval(d.defaults[i])
		}
		inner.set(d.params[i], v)
	}
}

// bindNames sets the keyword arguments; n parameters have been given by position.
func (m *macro) bindNames(r *render, inner *scope, a *args, n int) {
	d := m.def
	var rest *Dict
	if d.usesKwargs {
		rest = NewDict(0)
	}
next:
	for i, name := range a.names {
		for j, p := range d.paramNames {
			if p == name && j < n {
				r.fail("macro '%s' got multiple values for argument '%s'", d.name, name)
			} else if p == name {
				inner.set(d.params[j], a.kw[i])
				continue next
			}
		}
		switch {
		case name == "caller" && d.usesCaller:
			inner.set(d.callerID, a.kw[i])
		case d.usesKwargs:
			rest.set(Trusted(name), a.kw[i])
		default:
			r.fail("macro '%s' takes no keyword argument '%s'", d.name, name)
		}
	}
	if d.usesCaller && !a.named("caller") {
		inner.set(d.callerID, Value{s: "caller"})
	}
	if d.usesKwargs {
		inner.set(d.kwargsID, Value{kind: KindDict, ref: rest})
	}
}

func (a *args) named(name string) bool { return slices.Contains(a.names, name) }
