// Package jinja interprets the chat templates that models carry: the part of jinja2 3.1 that
// Hugging Face templates use, with the semantics of its sandbox as transformers sets it up.
//
// A [Template] is parsed once and rendered many times. The context is a [Value], made of the
// client's JSON by [FromJSON], which keeps the order of keys. Templates come from model files,
// so they are programs by strangers: they see nothing but their context, have no way to the
// outside, and run under [Limits].
//
// Every string knows which of its bytes the template wrote and which came from the context.
// [Template.Segments] returns the text cut along these lines, so that a tokenizer can tell
// control tokens of the format from their names in a user's message.
package jinja

import (
	"strings"
	"time"
)

// Template is a parsed template. It is immutable and safe for concurrent rendering.
type Template struct {
	body     []stmt
	names    []string // of variables, by number
	compared map[string]bool
}

// Parse compiles a template. It fails with an *Error that names the line.
func Parse(src string) (*Template, error) {
	t := &Template{compared: map[string]bool{}}
	if err := parse(src, t); err != nil {
		return nil, err
	}
	return t, nil
}

// Compares reports whether the template compares some value with the string constant s, as
// in message.role == "user".
func (t *Template) Compares(s string) bool { return t.compared[s] }

// Options are what a rendering takes beside its context.
type Options struct {
	Now    time.Time        // what strftime_now formats; zero means the time of the call
	Limits Limits           // zero fields have defaults
	Clock  func() time.Time // measures wall time; nil means time.Now
}

// Render returns the text that t makes of the dict ctx. Errors are *RaiseError where the
// template refuses ctx, *BudgetError where it exceeds a limit, and *Error otherwise.
func (t *Template) Render(ctx Value, opts Options) (string, error) {
	var out string
	err := t.run(ctx, opts, func(t *text) { out = string(t.b) })
	return out, err
}

// Segments is Render with the text cut where its origin changes. Neighbours differ in Trusted
// and none is empty.
func (t *Template) Segments(ctx Value, opts Options) ([]Segment, error) {
	var out []Segment
	err := t.run(ctx, opts, func(t *text) { out = t.segments() })
	return out, err
}

// render is the state of one rendering.
type render struct {
	t       *Template
	out     *text           // where statements write
	spare   []*text         // buffers to reuse
	globals []Value         // variables of the outermost scope by number, context included
	scope   *scope          // innermost scope, nil outside of all
	free    []*scope        // scopes to reuse
	stack   []Value         // evaluated arguments
	args    []*args         // to reuse
	chars   strings.Builder // where short strings lie, one after another
	line    int
	now     time.Time

	lim                     Limits
	steps, check, allocated int64
	nodes, depth            int
	clock                   func() time.Time
	started                 time.Time
}

func (t *Template) run(ctx Value, opts Options, done func(*text)) (err error) {
	r := renders.Get().(*render)
	r.t, r.now, r.lim, r.clock, r.line = t, opts.Now, opts.Limits.withDefaults(), opts.Clock, 1
	defer r.recycle()
	if r.clock == nil {
		r.clock = time.Now
	}
	r.started = r.clock()
	r.check = min(clockSteps, r.lim.Steps+1)
	if r.now.IsZero() {
		r.now = r.started
	}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case abort:
			err = p.err
		default:
			panic(p)
		}
	}()
	r.bindContext(ctx)
	r.out = r.takeText()
	r.exec(t.body)
	done(r.out)
	r.spare = append(r.spare, r.out)
	return nil
}

func (r *render) bindContext(ctx Value) {
	if ctx.kind != KindDict {
		r.fail("the context of a template must be a dict, not %s", ctx.typeName())
	}
	r.globals = resize(r.globals, len(r.t.names))
	for i, name := range r.t.names {
		v, ok := ctx.dict().Get(name)
		if !ok {
			v = builtins[name]
		}
		r.globals[i] = v
	}
}

// scope holds the variables of one loop body, macro call or captured block. Few names live in
// one, so they are searched in line.
type scope struct {
	parent *scope
	ids    []int
	vals   []Value
	kept   bool // a macro refers to it, so it cannot be reused
}

func (r *render) lookup(id int) Value {
	for s := r.scope; s != nil; s = s.parent {
		r.steps += int64(len(s.ids)) / namesPerStep
		for i, have := range s.ids {
			if have == id {
				return s.vals[i]
			}
		}
	}
	return r.globals[id]
}

func (r *render) assign(id int, v Value) {
	if r.scope == nil {
		r.globals[id] = v
		return
	}
	r.step(int64(len(r.scope.ids)) / namesPerStep)
	r.scope.set(id, v)
}

func (s *scope) set(id int, v Value) {
	for i, have := range s.ids {
		if have == id {
			s.vals[i] = v
			return
		}
	}
	s.ids, s.vals = append(s.ids, id), append(s.vals, v)
}

// push opens a scope inside parent.
func (r *render) push(parent *scope) *scope {
	var s *scope
	if n := len(r.free); n > 0 {
		s, r.free = r.free[n-1], r.free[:n-1]
		s.ids, s.vals = s.ids[:0], s.vals[:0]
	} else {
		s = &scope{ids: make([]int, 0, 8), vals: make([]Value, 0, 8)}
	}
	s.parent = parent
	r.scope = s
	return s
}

// pop closes the innermost scope and returns to outer.
func (r *render) pop(outer *scope) {
	if s := r.scope; !s.kept {
		r.free = append(r.free, s)
	}
	r.scope = outer
}

// keep marks the scopes that a macro made now will see.
func (r *render) keep() *scope {
	for s := r.scope; s != nil && !s.kept; s = s.parent {
		s.kept = true
	}
	return r.scope
}

// takeText returns an empty buffer, which finish takes back.
func (r *render) takeText() *text {
	if n := len(r.spare); n > 0 {
		t := r.spare[n-1]
		r.spare = r.spare[:n-1]
		t.reset()
		return t
	}
	return &text{}
}

// finish returns the string that was written to t.
func (r *render) finish(t *text) Value {
	r.alloc(len(t.b) - t.charged)
	v := t.value(r.keepText(t.b))
	r.spare = append(r.spare, t)
	return v
}

// charsSize is the size of the blocks in which short strings are kept.
const charsSize = 4096

// keepText returns a string of b. Short ones share a block, as most are of few bytes.
func (r *render) keepText(b []byte) string {
	if len(b) > charsSize/8 {
		return string(b)
	}
	if r.chars.Cap()-r.chars.Len() < len(b) {
		r.chars.Reset()
		r.chars.Grow(charsSize)
	}
	from := r.chars.Len()
	r.chars.Write(b)
	return r.chars.String()[from:]
}

// capture returns what body writes.
func (r *render) capture(body []stmt) Value {
	outer := r.out
	r.out = r.takeText()
	r.exec(body)
	v := r.finish(r.out)
	r.out = outer
	return v
}
