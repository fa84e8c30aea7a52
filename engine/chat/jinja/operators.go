package jinja

import (
	"cmp"
	"math"
	"math/big"
	"strings"
)

// maxIntBits bounds integers; Python's have no bound.
const maxIntBits = 1024

func (r *render) operandError(op string, a, b Value) {
	for _, v := range []Value{a, b} {
		if v.isUndefined() {
			r.failUndefined(v)
		}
	}
	if op == "+" && a.kind == KindString {
		r.fail("can only concatenate str (not \"%s\") to str", b.typeName())
	}
	r.fail("unsupported operand type(s) for %s: '%s' and '%s'", op, a.typeName(), b.typeName())
}

// arith is a op b for the operators of arithmetic.
func (r *render) arith(op string, a, b Value) Value {
	switch {
	case a.isInteger() && b.isInteger():
		return r.integers(op, a, b)
	case a.isNumber() && b.isNumber():
		return r.floats(op, a.number(), b.number())
	case op == "+" && a.kind == KindString && b.kind == KindString:
		return r.concat(a, b)
	case op == "+" && a.kind == b.kind && a.isSequence():
		x, y := a.list().items, b.list().items
		r.allocList(len(x) + len(y))
		sum := append(append(make([]Value, 0, len(x)+len(y)), x...), y...)
		return Value{kind: a.kind, ref: &List{items: sum}}
	case op == "*" && b.isInteger():
		return r.repeat(a, b)
	case op == "*" && a.isInteger():
		return r.repeat(b, a)
	case op == "%" && a.kind == KindString:
		return r.percent(a, b)
	}
	r.operandError(op, a, b)
	return Value{}
}

// concat adds strings; a Markup operand escapes the other.
func (r *render) concat(a, b Value) Value {
	if (a.flag|b.flag)&flagMarkup != 0 {
		a, b = r.escape(a), r.escape(b)
	}
	t := r.takeText()
	t.addString(a)
	r.addPlain(t, b)
	v := r.finish(t)
	v.flag |= a.flag & flagMarkup
	return v
}

func (r *render) repeat(v, times Value) Value {
	n := max(0, r.intArg(times))
	switch v.kind {
	case KindString:
		if n > 0 && len(v.s) > r.lim.Output/n {
			r.overrun("output bytes", int64(r.lim.Output))
		}
		t := r.takeText()
		for range n * min(1, len(v.s)) {
			t.addString(v)
		}
		return r.finish(t)
	case KindList, KindTuple:
		items := v.list().items
		if n > 0 && len(items) > 1<<30/n {
			r.overrun("allocated bytes", r.lim.Alloc)
		}
		r.allocList(len(items) * n)
		out := make([]Value, 0, len(items)*n)
		for range n * min(1, len(items)) {
			out = append(out, items...)
		}
		return Value{kind: v.kind, ref: &List{items: out}}
	}
	r.operandError("*", v, times)
	return Value{}
}

func (r *render) integers(op string, a, b Value) Value {
	if zero := b.n == 0 && b.ref == nil; zero && (op == "/" || op == "//" || op == "%") {
		r.fail("division by zero")
	}
	if op == "/" {
		return Float(a.number() / b.number())
	}
	if a.ref == nil && b.ref == nil {
		if v, ok := r.smallIntegers(op, a.n, b.n); ok {
			return v
		}
	}
	return r.bigIntegers(op, a.big(), b.big())
}

// smallIntegers computes in 64 bits; ok is false where the result may not fit.
func (r *render) smallIntegers(op string, a, b int64) (v Value, ok bool) {
	switch op {
	case "+":
		c := a + b
		return Int(c), (c > a) == (b > 0)
	case "-":
		c := a - b
		return Int(c), (c < a) == (b > 0)
	case "*":
		const half = 1 << 31
		return Int(a * b), a < half && a > -half && b < half && b > -half
	case "//", "%":
		if b == -1 {
			return Value{}, false
		}
		q, m := a/b, a%b
		if m != 0 && (m < 0) != (b < 0) {
			q, m = q-1, m+b
		}
		if op == "//" {
			return Int(q), true
		}
		return Int(m), true
	}
	return Value{}, false
}

func (r *render) bigIntegers(op string, a, b *big.Int) Value {
	c := new(big.Int)
	switch op {
	case "+":
		c.Add(a, b)
	case "-":
		c.Sub(a, b)
	case "*":
		c.Mul(a, b)
	case "//", "%":
		m := new(big.Int)
		if c.QuoRem(a, b, m); m.Sign() != 0 && m.Sign() != b.Sign() {
			c.Sub(c, big.NewInt(1))
			m.Add(m, b)
		}
		if op == "%" {
			c = m
		}
	case "**":
		return r.power(a, b)
	}
	return r.boundedInt(c)
}

func (r *render) boundedInt(c *big.Int) Value {
	if c.BitLen() > maxIntBits {
		r.overrun("integer bits", maxIntBits)
	}
	return bigInt(c)
}

func (r *render) power(a, b *big.Int) Value {
	if b.Sign() < 0 {
		return r.floats("**", bigInt(a).number(), bigInt(b).number())
	}
	if a.BitLen() > 1 && (!b.IsInt64() || b.Int64() > maxIntBits) {
		r.overrun("integer bits", maxIntBits)
	}
	if a.BitLen() <= 1 {
		return r.unitPower(a, b)
	}
	return r.boundedInt(new(big.Int).Exp(a, b, nil))
}

// unitPower is a**b for a in -1, 0, 1.
func (r *render) unitPower(a, b *big.Int) Value {
	switch {
	case b.Sign() == 0 || a.Sign() > 0 || a.Sign() < 0 && b.Bit(0) == 0:
		return Int(1)
	case a.Sign() == 0:
		return Int(0)
	}
	return Int(-1)
}

func (r *render) floats(op string, a, b float64) Value {
	if b == 0 && (op == "/" || op == "//" || op == "%") {
		r.fail("float division by zero")
	}
	switch op {
	case "+":
		return Float(a + b)
	case "-":
		return Float(a - b)
	case "*":
		return Float(a * b)
	case "/":
		return Float(a / b)
	case "//":
		return Float(math.Floor(a / b))
	case "%":
		m := math.Mod(a, b)
		if m != 0 && (m < 0) != (b < 0) {
			m += b
		}
		return Float(m)
	}
	return Float(math.Pow(a, b))
}

// compareOp is a op b for comparisons and membership.
func (r *render) compareOp(op string, a, b Value) bool {
	switch op {
	case "==":
		return r.equal(a, b)
	case "!=":
		return !r.equal(a, b)
	case "in":
		return r.contains(b, a)
	case "not in":
		return !r.contains(b, a)
	}
	c, ok := r.order(a, b)
	if !ok {
		r.orderError(op, a, b)
	}
	switch op {
	case "<":
		return c == -1
	case "<=":
		return c == -1 || c == 0
	case ">":
		return c == 1
	}
	return c == 1 || c == 0
}

func (r *render) orderError(op string, a, b Value) {
	for _, v := range []Value{a, b} {
		if v.isUndefined() {
			r.failUndefined(v)
		}
	}
	r.fail("'%s' not supported between instances of '%s' and '%s'", op, a.typeName(), b.typeName())
}

// unordered is what order returns for a comparison with NaN, which is always false.
const unordered = 2

// order compares values that have an order; ok is false for others.
func (r *render) order(a, b Value) (c int, ok bool) {
	r.step(1)
	switch {
	case a.isInteger() && b.isInteger():
		if a.ref == nil && b.ref == nil {
			return cmp.Compare(a.n, b.n), true
		}
		return a.big().Cmp(b.big()), true
	case a.isNumber() && b.isNumber():
		x, y := a.number(), b.number()
		if x != x || y != y {
			return unordered, true
		}
		return cmp.Compare(x, y), true
	case a.kind == KindString && b.kind == KindString:
		r.scan(min(len(a.s), len(b.s)))
		return strings.Compare(a.s, b.s), true
	case a.isSequence() && a.kind == b.kind:
		return r.orderLists(a.list().items, b.list().items)
	}
	return 0, false
}

func (r *render) orderLists(a, b []Value) (int, bool) {
	r.enter()
	defer r.leave()
	for i := range min(len(a), len(b)) {
		if !r.equal(a[i], b[i]) {
			return r.order(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b)), true
}

// equal is Python's a == b.
func (r *render) equal(a, b Value) bool {
	switch {
	case a.isNumber() && b.isNumber():
		c, _ := r.order(a, b)
		return c == 0
	case a.kind != b.kind:
		return false
	}
	r.step(1)
	switch a.kind {
	case KindUndefined, KindNone:
		return true
	case KindString:
		r.scan(min(len(a.s), len(b.s)))
		return a.s == b.s
	case KindList, KindTuple:
		return r.equalLists(a.list().items, b.list().items)
	case KindDict:
		return r.equalDicts(a.dict(), b.dict())
	}
	return same(a, b)
}

func (r *render) equalLists(a, b []Value) bool {
	if len(a) != len(b) {
		return false
	}
	r.enter()
	defer r.leave()
	for i := range a {
		if !r.equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func (r *render) equalDicts(a, b *Dict) bool {
	if a == b || a.Len() != b.Len() {
		return a == b
	}
	r.enter()
	defer r.leave()
	for i, k := range a.keys {
		v, ok := b.get(k)
		if !ok || !r.equal(a.vals[i], v) {
			return false
		}
	}
	return true
}

// same is Python's a is b, with equality standing in for the identity of plain values.
func same(a, b Value) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case KindString:
		return a.s == b.s
	case KindList, KindTuple:
		return a.list() == b.list()
	case KindDict, KindNamespace:
		return a.dict() == b.dict()
	case KindInt:
		return a.big().Cmp(b.big()) == 0
	case KindObject:
		switch x := a.ref.(type) {
		case *macro:
			return x == b.ref
		case *loop:
			return x == b.ref
		}
		return false
	}
	return a.n == b.n
}

// contains is Python's v in box.
func (r *render) contains(box, v Value) bool {
	switch box.kind {
	case KindUndefined:
		return false
	case KindString:
		if v.kind != KindString {
			if v.isUndefined() {
				r.failUndefined(v)
			}
			r.fail("'in <string>' requires string as left operand, not %s", v.typeName())
		}
		r.scan(len(box.s))
		return strings.Contains(box.s, v.s)
	case KindDict:
		if _, ok := hash(v); !ok {
			r.fail("unhashable type: '%s'", v.typeName())
		}
		_, ok := box.dict().get(v)
		return ok
	case KindList, KindTuple:
		for _, item := range box.list().items {
			if r.equal(item, v) {
				return true
			}
		}
		return false
	}
	r.fail("argument of type '%s' is not iterable", box.typeName())
	return false
}
