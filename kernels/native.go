package kernels

import (
	"fmt"
	"runtime"
	"slices"
	"unsafe"
)

// allocateCall makes the native arguments, which stay the same from run to run but for
// the batch's arrays.
func (r *Runner) allocateCall() error {
	l, p, c := r.bounds.Limits, r.program, &r.call
	var operands []nativeOperand
	var instrs []Instr
	var args []runArgs
	var batch []nativeBatch
	for _, err := range []error{
		taken(&r.owned, &operands, len(p.Operands)), taken(&r.owned, &instrs, len(p.Instrs)),
		taken(&r.owned, &args, 1), taken(&r.owned, &batch, 1), taken(&r.owned, &c.nanos, len(p.Instrs)),
		taken(&r.owned, &c.arrays.Tokens, l.Tokens), taken(&r.owned, &c.arrays.Positions, l.Tokens),
		taken(&r.owned, &c.arrays.Slots, l.Tokens), taken(&r.owned, &c.arrays.RowStart, l.Seqs+1),
		taken(&r.owned, &c.arrays.SeqLen, l.Seqs), taken(&r.owned, &c.arrays.TableStart, l.Seqs+1),
		taken(&r.owned, &c.arrays.LogitRows, l.LogitRows), taken(&r.owned, &c.arrays.Targets, l.LogitRows),
		taken(&r.owned, &c.arrays.Adapters, l.Seqs), r.growTables(l.Blocks),
	} {
		if err != nil {
			return err
		}
	}
	copy(instrs, p.Instrs)
	for v := range operands {
		operands[v] = r.operand(v)
	}
	c.args, c.batch = &args[0], &batch[0]
	*c.args = runArgs{
		lib: r.table.lib.handle, instrs: address(instrs), operands: address(operands), batch: address(batch),
		instrsN: int32(len(instrs)), table: r.table.id,
	}
	a := &c.arrays
	*c.batch = nativeBatch{
		tokens: address(a.Tokens), positions: address(a.Positions), slots: address(a.Slots),
		rowStart: address(a.RowStart), seqLen: address(a.SeqLen), tableStart: address(a.TableStart),
		logitRows: address(a.LogitRows), targets: address(a.Targets), adapters: address(a.Adapters),
	}
	return nil
}

func taken[T number](a *arena, dst *[]T, n int) (err error) {
	*dst, err = take[T](a, n)
	return err
}

func (r *Runner) operand(v int) nativeOperand {
	o := &r.program.Operands[v]
	n := nativeOperand{
		data: address(r.step.memory[v]), dtype: o.DType, per: o.Per,
		rows: int64(o.Rows), cols: int64(o.Cols), stride: int64(r.step.strides[v]),
	}
	if o.Interleaved {
		n.dtype |= interleaved
	}
	switch {
	case o.Kind == KeyCache || o.Kind == ValueCache:
		n.rows = int64(r.bounds.Blocks)
	case packed(o.DType):
		n.stride = 0 // the table's own affair
	}
	return n
}

// growTables makes room for n entries of block tables. Sequences share blocks, so
// there may be more entries than blocks; then the room doubles.
func (r *Runner) growTables(n int) error {
	c := &r.call
	if n <= len(c.arrays.Tables) {
		return nil
	}
	n = max(n, 2*len(c.arrays.Tables))
	buf, err := NewBuf(4 * n)
	if err != nil {
		return fmt.Errorf("block tables: %w", err)
	}
	if c.tables != nil {
		c.tables.Free()
	}
	c.tables, c.arrays.Tables = buf, view[int32](buf.Bytes(), n)
	return nil
}

func (r *Runner) runNative(b *Batch) error {
	if err := r.growTables(len(b.Tables)); err != nil {
		return err
	}
	c := &r.call
	a := &c.arrays
	copy(a.Tokens, b.Tokens)
	copy(a.Positions, b.Positions)
	copy(a.Slots, b.Slots)
	copy(a.RowStart, b.RowStart)
	copy(a.SeqLen, b.SeqLen)
	copy(a.TableStart, b.TableStart)
	copy(a.Tables, b.Tables)
	copy(a.LogitRows, b.LogitRows)
	copy(a.Targets, b.Targets)
	clear(a.Adapters[copy(a.Adapters, b.Adapters):len(b.SeqLen)])
	c.batch.tokensN, c.batch.logitsN, c.batch.seqsN = int32(len(b.Tokens)), int32(len(b.LogitRows)), int32(len(b.SeqLen))
	c.batch.tables = address(a.Tables)
	c.args.failed = -1
	code := r.table.lib.pooled(r.table.lib.run, unsafe.Pointer(c.args))
	runtime.KeepAlive(r) // and with it the weights, should they lie on the Go heap
	if code != 0 {
		return r.failure(code)
	}
	return nil
}

// failure names the instruction that the library refused: the program and the kernels
// disagree, which is ours to mend.
func (r *Runner) failure(code int32) error {
	err := nativeError(code)
	if i := r.call.args.failed; i >= 0 && int(i) < len(r.program.Instrs) {
		in := &r.program.Instrs[i]
		return fmt.Errorf("kernels %s: instruction %d (%s of %s): %w",
			r.table.Name, i, ops[in.Op].name, r.program.list(in.In[:], r.program.reference), err)
	}
	return fmt.Errorf("kernels %s: %w", r.table.Name, err)
}

func nativeError(code int32) error {
	if i := int(-code); i > 0 && i < len(nativeErrors) {
		return fmt.Errorf("%s", nativeErrors[i])
	}
	return fmt.Errorf("error %d", code)
}

// supports returns an error that names the first weight of p whose type the table has
// no kernel for.
func (t *Table) supports(p *Program) error {
	for v := range p.Operands {
		if p.Operands[v].Interleaved && t.lib == nil {
			return fmt.Errorf("%s is interleaved: only native tables read it", p.Operands[v].Name)
		}
		if t.lib == nil {
			continue
		}
		if o := &p.Operands[v]; o.Kind == Weight && !slices.Contains(nativeTypes, o.DType) {
			return fmt.Errorf("the native kernels have no %v weights (%s): use --kernels reference", o.DType, o.Name)
		}
	}
	return nil
}
