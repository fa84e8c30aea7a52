package jinja

import "time"

// Limits bound one rendering. A zero field means its default.
type Limits struct {
	Steps  int64         // evaluated nodes, plus work in proportion to the data they touch; default 10^6
	Output int           // bytes of the result and of any captured text; default 4 MiB
	Alloc  int64         // bytes of all strings and lists made on the way; default 64 MiB
	Depth  int           // nested macro calls and nested values; default 64
	Wall   time.Duration // default 100 ms
}

func (l Limits) withDefaults() Limits {
	if l.Steps == 0 {
		l.Steps = 1_000_000
	}
	if l.Output == 0 {
		l.Output = 4 << 20
	}
	if l.Alloc == 0 {
		l.Alloc = 64 << 20
	}
	if l.Depth == 0 {
		l.Depth = 64
	}
	if l.Wall == 0 {
		l.Wall = 100 * time.Millisecond
	}
	return l
}

const (
	// bytesPerStep converts scanned bytes to steps: memory is scanned at some GB/s, so that a
	// step stays well under a microsecond.
	bytesPerStep = 256
	// clockSteps is how many steps pass between two looks at the clock.
	clockSteps = 1024
	// nodeDepth bounds the nesting of evaluated nodes over all macro calls, which bounds the
	// goroutine's stack.
	nodeDepth = 2048
	// namesPerStep converts the variables of a scope, which are searched in line, to steps.
	namesPerStep = 16
	// valueBytes is what one element of a list costs.
	valueBytes = 64
)

func (r *render) step(n int64) {
	if r.steps += n; r.steps >= r.check {
		r.checkSteps()
	}
}

func (r *render) checkSteps() {
	if r.steps > r.lim.Steps {
		r.overrun("steps", r.lim.Steps)
	}
	r.check = min(r.steps+clockSteps, r.lim.Steps+1)
	if r.clock().Sub(r.started) > r.lim.Wall {
		r.overrun("wall time", int64(r.lim.Wall))
	}
}

// scan charges for reading n bytes or elements.
func (r *render) scan(n int) { r.step(int64(n) / bytesPerStep) }

// alloc charges for n bytes before they are allocated.
func (r *render) alloc(n int) {
	if r.allocated += int64(n); r.allocated > r.lim.Alloc || n < 0 {
		r.overrun("allocated bytes", r.lim.Alloc)
	}
	r.scan(n)
}

// allocList charges for a list of n elements before it is allocated.
func (r *render) allocList(n int) {
	if int64(n) > r.lim.Alloc/valueBytes {
		r.overrun("allocated bytes", r.lim.Alloc)
	}
	r.alloc(n * valueBytes)
	r.step(int64(n) / 8)
}

// enter goes one level down in a value or macro call; leave undoes it.
func (r *render) enter() {
	if r.depth++; r.depth > r.lim.Depth {
		r.overrun("recursion depth", int64(r.lim.Depth))
	}
}

func (r *render) leave() { r.depth-- }

// checkOutput charges for what was added to t since the last check and refuses a text that
// has grown beyond the limit.
func (r *render) checkOutput(t *text) {
	r.alloc(len(t.b) - t.charged)
	t.charged = len(t.b)
	if len(t.b) > r.lim.Output {
		r.overrun("output bytes", int64(r.lim.Output))
	}
}
