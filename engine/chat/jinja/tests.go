package jinja

import (
	"strings"
	"unicode"
)

// testFunc is a test: v is name(a).
type testFunc func(r *render, v Value, a *args) bool

var tests map[string]testFunc

// The table refers to tests that look up the tables of tests and filters, so it is filled here.
func init() {
	tests = map[string]testFunc{
		"boolean":     isKind(KindBool),
		"callable":    func(_ *render, v Value, _ *args) bool { return v.kind == KindObject },
		"defined":     func(_ *render, v Value, _ *args) bool { return !v.isUndefined() },
		"undefined":   isKind(KindUndefined),
		"divisibleby": testDivisible,
		"escaped":     func(_ *render, v Value, _ *args) bool { return v.flag&flagMarkup != 0 && v.kind == KindString },
		"even":        func(r *render, v Value, _ *args) bool { return r.equal(r.arith("%", v, Int(2)), Int(0)) },
		"odd":         func(r *render, v Value, _ *args) bool { return r.equal(r.arith("%", v, Int(2)), Int(1)) },
		"false":       func(_ *render, v Value, _ *args) bool { return v.kind == KindBool && v.n == 0 },
		"true":        func(_ *render, v Value, _ *args) bool { return v.kind == KindBool && v.n != 0 },
		"filter":      func(_ *render, v Value, _ *args) bool { return filters[v.Str()] != nil },
		"test":        func(_ *render, v Value, _ *args) bool { return tests[v.Str()] != nil },
		"float":       isKind(KindFloat),
		"integer":     isKind(KindInt),
		"in":          func(r *render, v Value, a *args) bool { return r.contains(a.bind(r, "in", "seq")[0], v) },
		"iterable":    testIterable,
		"lower":       testCase(unicode.IsLower, unicode.IsUpper),
		"upper":       testCase(unicode.IsUpper, unicode.IsLower),
		"mapping":     isKind(KindDict),
		"none":        isKind(KindNone),
		"number":      func(_ *render, v Value, _ *args) bool { return v.isNumber() },
		"sameas":      func(r *render, v Value, a *args) bool { return same(v, a.bind(r, "sameas", "other")[0]) },
		"sequence":    testSequence,
		"string":      isKind(KindString),
	}
	for op, names := range map[string][]string{
		"==": {"==", "eq", "equalto"}, "!=": {"!=", "ne"}, "<": {"<", "lt", "lessthan"},
		"<=": {"<=", "le"}, ">": {">", "gt", "greaterthan"}, ">=": {">=", "ge"},
	} {
		for _, name := range names {
			tests[name] = testCompare(op)
		}
	}
}

func isKind(k Kind) testFunc {
	return func(_ *render, v Value, _ *args) bool { return v.kind == k }
}

func testCompare(op string) testFunc {
	return func(r *render, v Value, a *args) bool { return r.compareOp(op, v, a.bind(r, op, "other")[0]) }
}

func testDivisible(r *render, v Value, a *args) bool {
	return r.equal(r.arith("%", v, a.bind(r, "divisibleby", "num")[0]), Int(0))
}

func testIterable(_ *render, v Value, _ *args) bool {
	_, isLoop := v.ref.(*loop)
	return isLoop || testSequence(nil, v, nil)
}

// testSequence follows jinja2: whatever has a length and elements, undefined included.
func testSequence(_ *render, v Value, _ *args) bool {
	switch v.kind {
	case KindString, KindList, KindTuple, KindDict, KindUndefined:
		return true
	}
	return false
}

// testCase is Python's islower or isupper: some letter of the case and none of the other.
func testCase(is, other func(rune) bool) testFunc {
	return func(r *render, v Value, _ *args) bool {
		s := r.str(v).s
		r.scan(len(s))
		return strings.IndexFunc(s, is) >= 0 && strings.IndexFunc(s, other) < 0
	}
}
