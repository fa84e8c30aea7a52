package jinja

// maxRange is the longest range of jinja2's sandbox.
const maxRange = 100_000

// builtins are the names that templates see beside their context.
var builtins = map[string]Value{
	"range":           object(function(builtinRange)),
	"dict":            object(function(builtinDict)),
	"namespace":       object(function(builtinNamespace)),
	"joiner":          object(function(builtinJoiner)),
	"cycler":          object(function(builtinCycler)),
	"raise_exception": object(function(builtinRaise)),
	"strftime_now":    object(function(builtinStrftimeNow)),
}

func builtinRange(r *render, a *args) Value {
	b := a.bind(r, "range", "start", "stop", "step")
	lo, hi, by := 0, r.intArg(b[0]), 1
	if !b[1].isMissing() {
		lo, hi = hi, r.intArg(b[1])
	}
	if !b[2].isMissing() {
		by = r.intArg(b[2])
	}
	n := 0
	switch {
	case by == 0:
		r.fail("range() arg 3 must not be zero")
	case by > 0 && hi > lo:
		n = (hi - lo + by - 1) / by
	case by < 0 && hi < lo:
		n = (lo - hi - by - 1) / -by
	}
	if n > maxRange {
		r.fail("range of %d is longer than %d", n, maxRange)
	}
	r.allocList(n)
	out := make([]Value, n)
	for i := range out {
		out[i] = Int(int64(lo + i*by))
	}
	return newList(out)
}

// fill makes a dict of keyword arguments and of dicts given by position.
func (r *render) fill(a *args) *Dict {
	d := NewDict(len(a.kw))
	dictUpdate(r, Value{kind: KindDict, ref: d}, a)
	r.allocList(2 * len(a.kw))
	return d
}

func builtinDict(r *render, a *args) Value {
	return Value{kind: KindDict, ref: r.fill(a)}
}

func builtinNamespace(r *render, a *args) Value {
	return Value{kind: KindNamespace, ref: r.fill(a)}
}

// builtinJoiner returns a function that gives nothing at its first call and the separator after.
func builtinJoiner(r *render, a *args) Value {
	sep, used := a.bind(r, "joiner", "sep")[0], false
	if sep.isMissing() {
		sep = Trusted(", ")
	}
	return object(function(func(*render, *args) Value {
		if !used {
			used = true
			return Trusted("")
		}
		return sep
	}))
}

// cycler is the object of {% set c = cycler('a', 'b') %}.
type cycler struct {
	items []Value
	at    int
}

func builtinCycler(r *render, a *args) Value {
	if len(a.pos) == 0 {
		r.fail("at least one item has to be provided")
	}
	r.allocList(len(a.pos))
	return object(&cycler{items: append([]Value(nil), a.pos...)})
}

func (c *cycler) attr(name string) Value {
	switch name {
	case "current":
		return c.items[c.at]
	case "next":
		return object(function(func(*render, *args) Value {
			v := c.items[c.at]
			c.at = (c.at + 1) % len(c.items)
			return v
		}))
	case "reset":
		return object(function(func(*render, *args) Value {
			c.at = 0
			return None()
		}))
	}
	return Value{own: KindObject, n: 1, s: name}
}

func builtinRaise(r *render, a *args) Value {
	message := r.str(a.bind(r, "raise_exception", "message")[0])
	panic(abort{&RaiseError{r.line, message.s}})
}

func builtinStrftimeNow(r *render, a *args) Value {
	format := a.bind(r, "strftime_now", "format")[0]
	r.alloc(16 * len(r.strArg(format))) // %c makes 24 bytes of two
	return format.derived(strftime(format.s, r.now))
}
