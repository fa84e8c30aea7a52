package kernels

import "fmt"

// op is one operation: what its file declares with register.
type op struct {
	name string
	code uint32 // INGOT_OP_* in csrc/ingot.h

	// ref is the specification: it computes one instruction over the whole batch.
	ref func(s *step, in *Instr)

	// inPlace says that out[0] may share in[0]'s memory: a result element depends on
	// that element of in[0] alone.
	inPlace bool

	// grad appends the instructions that turn the gradient of in's results into those of
	// what it reads: it emits operations and computes nothing. nil where the results do
	// not change smoothly with anything.
	grad func(g *gradients, in Instr)

	// flops counts the floating-point operations for one row of out[0]; nil counts as
	// none. context is the number of keys that a token sees.
	flops func(p *Program, in *Instr, context int) int64
}

// ops is indexed by code; each operation's file adds its own.
var ops [49]*op

func register(o op) *op {
	if ops[o.code] != nil {
		panic(fmt.Sprintf("BUG: operations %s and %s have the same code %d", o.name, ops[o.code].name, o.code))
	}
	ops[o.code] = &o
	return &o
}
