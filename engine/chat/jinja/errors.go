package jinja

import "fmt"

// Error is a template that cannot be parsed, or an operation in it that failed.
type Error struct {
	Line int // line of the template, from 1
	Msg  string
}

func (e *Error) Error() string { return fmt.Sprintf("chat template, line %d: %s", e.Line, e.Msg) }

// RaiseError is the template's own refusal of its input, by raise_exception.
type RaiseError struct {
	Line    int
	Message string // the template's words
}

func (e *RaiseError) Error() string { return e.Message }

// BudgetError says which budget a template used up.
type BudgetError struct {
	Line   int
	Budget string // "steps", "output bytes", "allocated bytes", "recursion depth", "wall time" or "integer bits"
	Limit  int64  // wall time in nanoseconds
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("chat template, line %d: budget of %s (%d) used up", e.Line, e.Budget, e.Limit)
}

// abort carries an error from inside an evaluation to Render, which is the only place that
// recovers it. It keeps the evaluator free of error plumbing.
type abort struct{ err error }

func (r *render) fail(format string, args ...any) {
	panic(abort{&Error{r.line, fmt.Sprintf(format, args...)}})
}

func (r *render) overrun(budget string, limit int64) {
	panic(abort{&BudgetError{r.line, budget, limit}})
}

// failUndefined reports the use of an undefined value in jinja2's words.
func (r *render) failUndefined(v Value) {
	switch {
	case v.n == 0:
		r.fail("'%s' is undefined", v.s)
	case v.ref != nil:
		r.fail("%s object has no element %s", v.own, v.s)
	default:
		r.fail("'%s object' has no attribute '%s'", v.own, v.s)
	}
}
