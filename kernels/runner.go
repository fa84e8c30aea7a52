package kernels

import (
	"fmt"
	"slices"
	"unsafe"
)

// Runner runs one program on one table, and owns the memory for it: activations, KV
// caches and the arguments of the native call. One goroutine at a time.
type Runner struct {
	program *Program
	table   *Table
	bounds  bounds
	owned   arena
	step    step   // every operand's memory; the reference also reads the batch there
	rows    int    // units of the output in the last run
	call    native // the same for the library
	caches  []cacheRows
	pages   *populator // of the caches; nil on the reference table
}

// native is what the library reads, all of it in native memory.
type native struct {
	args   *runArgs
	batch  *nativeBatch
	arrays Batch // each slice as long as the limits allow
	tables *Buf  // holds arrays.Tables, which grows
	nanos  []uint64
}

// NewRunner takes the memory that p.Plan(l, t) counts. The program must stay open
// until Close. It fails where memory is short or t cannot run a type of weight.
func NewRunner(p *Program, t *Table, l Limits) (*Runner, error) {
	if l.Tokens < 1 || l.LogitRows < 0 || l.Seqs < 1 || l.Blocks < 0 {
		return nil, fmt.Errorf("cannot lay out a program for %+v: at least one token and one sequence are needed", l)
	}
	if err := t.supports(p); err != nil {
		return nil, err
	}
	if err := p.holds(l); err != nil {
		return nil, err
	}
	return newRunner(p, t, l, p.Plan(l, t))
}

func newRunner(p *Program, t *Table, l Limits, plan *Plan) (*Runner, error) {
	r := &Runner{program: p, table: t, bounds: bounds{
		Limits: l, vocab: p.limitOf(embedTokens), positions: p.limitOf(embedPositions), cached: len(p.Layers) > 0, classes: p.classes(), adapters: p.adapters(),
	}}
	if err := r.allocate(plan); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// holds refuses limits beyond the memory that Training was given.
func (p *Program) holds(l Limits) error {
	for i := range p.Operands {
		o := &p.Operands[i]
		if need := 4 * l.units(o.Per) * o.Rows * o.Cols; o.Kind == Gradient && len(o.Data) < need {
			return fmt.Errorf("%s has %d bytes, batches of %d tokens need %d", o.Name, len(o.Data), l.Tokens, need)
		}
	}
	return nil
}

// Close frees the memory; the slice from Output is then invalid.
func (r *Runner) Close() {
	if r.pages != nil {
		r.pages.close()
		r.pages = nil
	}
	r.owned.free()
	if r.call.tables != nil {
		r.call.tables.Free()
		r.call.tables = nil
	}
}

// Run runs the program over b, which it checks first: an error says which array is out
// of bounds, and nothing has run. It allocates nothing on a native table.
func (r *Runner) Run(b *Batch) error {
	if err := b.check(&r.bounds); err != nil {
		return err
	}
	r.step.batch = *b
	r.rows = r.step.units(r.program.Operands[r.program.Output].Per)
	if r.table.lib == nil {
		r.runReference()
		return nil
	}
	if r.pages != nil {
		r.pages.reach(int(slices.Max(b.Slots))/BlockTokens + 1)
	}
	return r.runNative(b)
}

// Output returns the program's result [rows, width] f32, row-major, of the last Run.
// It is valid until the next one.
func (r *Runner) Output() (data []float32, rows, width int) {
	o := &r.program.Operands[r.program.Output]
	rows, width = r.rows*o.Rows, o.Cols
	return view[float32](r.step.memory[r.program.Output], rows*width), rows, width
}

// CopyBlock copies KV block src over block dst in every layer. A number outside the
// limits is a bug.
func (r *Runner) CopyBlock(src, dst int) {
	for _, c := range r.caches {
		copy(c.blocks(dst, dst+1), c.blocks(src, src+1))
	}
}

// Profile switches the timing of instructions on a native table on or off.
func (r *Runner) Profile(on bool) {
	if r.call.args != nil {
		r.call.args.nanos = 0
		if on {
			r.call.args.nanos = address(r.call.nanos)
		}
	}
}

// Nanos returns the time that each instruction took since NewRunner, in nanoseconds,
// while profiled; nil on the reference table.
func (r *Runner) Nanos() []uint64 { return r.call.nanos }

func (r *Runner) runReference() {
	for i := range r.program.Instrs {
		in := &r.program.Instrs[i]
		ops[in.Op].ref(&r.step, in)
	}
}

func (r *Runner) allocate(plan *Plan) error {
	activations, err := take[int8](&r.owned, plan.ArenaBytes)
	if err != nil {
		return fmt.Errorf("activations: %w", err)
	}
	caches, err := take[int8](&r.owned, plan.CacheBytes)
	if err != nil {
		return fmt.Errorf("KV caches: %w", err)
	}
	r.bind(plan, asBytes(activations), asBytes(caches))
	if r.table.lib == nil {
		return nil
	}
	if len(r.caches) > 0 && r.bounds.classes == 0 { // training never comes to most of the blocks
		r.pages = newPopulator(r.caches, r.bounds.Blocks)
	}
	return r.allocateCall()
}

func asBytes(x []int8) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// bind gives every operand its memory.
func (r *Runner) bind(plan *Plan, activations, caches []byte) {
	p := r.program
	r.step.operands = p.Operands
	r.step.strides = make([]int, len(p.Operands))
	r.step.memory = make([][]byte, len(p.Operands))
	for v := range p.Operands {
		o := &p.Operands[v]
		r.step.strides[v] = p.stride(o)
		switch o.Kind {
		case Weight, Gradient:
			r.step.memory[v] = o.Data
		case KeyCache, ValueCache:
			r.step.memory[v] = caches[plan.Offsets[v]:][:r.bounds.Blocks*r.step.strides[v]]
			r.caches = append(r.caches, cacheRows{r.step.memory[v], r.step.strides[v]})
		default:
			if at := plan.Offsets[v]; at >= 0 && at < len(activations) { // else nothing writes it
				r.step.memory[v] = activations[at:]
			}
		}
	}
}
