package kernels

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"unsafe"
)

// Strip is how many logits share one entry of Row.High and Row.Sums.
const Strip = 128

// Row is a row of logits as sampling needs it: what to read, and what was found there, by
// strips of 128 logits of which the last may be shorter.
type Row struct {
	X       []float32 // [V] logits; native memory, or on the Go heap
	Scale   float32   // of LogitWeight; 0: only Top, High and Bad are asked for
	Moments bool      // Moment is asked for

	Top    float32   // the largest logit
	High   []float32 // [ceil(V/128)] the largest logit of each strip
	Bad    bool      // a logit is NaN or +Inf; Top and what follows mean nothing then
	Sums   []float32 // [ceil(V/128)] the sum of each strip's weights
	Total  float64   // the sum of Sums in their order
	Moment float64   // the sum of each weight times its binary logarithm
}

// powers[i] is 2 * 2^(i/16).
var powers = func() (t [16]float32) {
	for i := range t {
		t[i] = float32(2 * math.Exp2(float64(i)/16))
	}
	return t
}()

// LogitWeight returns what logit x counts beside the largest one: 2^((x - top) * scale), and
// 0 below 2^-125. Its relative error is below 1e-6 from 2^-20 up: a table has the powers of
// sixteenths, a polynomial (minimax, 4.3e-7) the rest, and every step is rounded to float32,
// so that all tables and this function give the same bits. scale is finite.
func LogitWeight(x, top, scale float32) float32 {
	w, _ := logitWeight(x, top, scale)
	return w
}

// logitWeight also returns the weight's logarithm, at least -126.
func logitWeight(x, top, scale float32) (w, y float32) {
	const magic = 3<<18 + 126 // rounds to sixteenths, and leaves those from -126 up in the low bits
	y = max((x-top)*scale, -126)
	s := y + magic
	f := y - (s - magic)
	p := float32(0.240229*f) + 0.6931878
	p = float32(p*f) + 1
	bits := math.Float32bits(s)
	half := math.Float32frombits(bits << 19 &^ (1<<23 - 1)) // of the power of y's whole; 0 of -126
	return p * float32(powers[bits%16]*half), y
}

// read is the specification of the native read_row: it adds in lanes along a strip, and
// strips in their order.
func (r *Row) read() {
	r.Top, r.Bad, r.Total, r.Moment = float32(math.Inf(-1)), false, 0, 0
	at := 0
	for part := range slices.Chunk(r.X, Strip) {
		r.High[at] = r.highest(part)
		at++
	}
	if r.Bad || r.Scale == 0 || math.IsInf(float64(r.Top), -1) {
		return
	}
	at = 0
	for part := range slices.Chunk(r.X, Strip) {
		r.Sums[at] = r.weigh(part)
		at++
	}
}

func (r *Row) highest(part []float32) float32 {
	high := float32(math.Inf(-1))
	for _, v := range part {
		if !(v <= math.MaxFloat32) {
			r.Bad = true
		} else if v > high {
			high = v
		}
	}
	r.Top = max(r.Top, high)
	return high
}

func (r *Row) weigh(part []float32) float32 {
	var sums, moments lanes
	for i, v := range part {
		w, y := logitWeight(v, r.Top, r.Scale)
		sums[i%16] += w
		moments[i%16] += float32(w * y)
	}
	sum := sums.fold()
	r.Total += float64(sum)
	if r.Moments {
		r.Moment += float64(moments.fold())
	}
	return sum
}

// RowReader reads rows of logits and owns the memory of what it finds. One goroutine at a
// time. The zero value reads with the reference.
type RowReader struct {
	table *Table // nil: the reference
	args  []readRowsArgs
	rows  []nativeRow
	out   []float32
	owned arena
}

// NewRowReader returns a reader on t, which has to stay open until Close. Tables give the
// same bits.
func NewRowReader(t *Table) *RowReader { return &RowReader{table: t} }

// Close frees the memory; what Read has found is then invalid.
func (r *RowReader) Close() {
	r.owned.free()
	*r = RowReader{table: r.table}
}

// Read reads rows, with all of the table's threads, a row each. Their slices are valid until
// the next call. It allocates only where there is more to read than ever before, and fails
// where there is no memory for it.
func (r *RowReader) Read(rows []Row) error {
	strips := 0
	for i := range rows {
		strips += stripsOf(&rows[i])
	}
	if err := r.grow(len(rows), 2*strips); err != nil {
		return fmt.Errorf("reading %d rows of logits: %w", len(rows), err)
	}
	out := r.out
	for i := range rows {
		n := stripsOf(&rows[i])
		rows[i].High, rows[i].Sums, out = out[:n:n], out[n:2*n:2*n], out[2*n:]
	}
	if r.table == nil || r.table.lib == nil {
		for i := range rows {
			rows[i].read()
		}
		return nil
	}
	return r.readNative(rows)
}

func stripsOf(r *Row) int { return (len(r.X) + Strip - 1) / Strip }

// grow makes room for rows rows and floats results, twice as much as there was.
func (r *RowReader) grow(rows, floats int) error {
	if r.args != nil && rows <= len(r.rows) && floats <= len(r.out) {
		return nil
	}
	rows, floats = max(rows, 2*len(r.rows)), max(floats, 2*len(r.out))
	r.Close()
	for _, err := range []error{
		taken(&r.owned, &r.args, 1), taken(&r.owned, &r.rows, rows), taken(&r.owned, &r.out, floats),
	} {
		if err != nil {
			r.Close()
			return err
		}
	}
	return nil
}

func (r *RowReader) readNative(rows []Row) error {
	for i := range rows {
		row := &rows[i]
		r.rows[i] = nativeRow{x: address(row.X), high: address(row.High), sums: address(row.Sums), n: int64(len(row.X)), scale: row.Scale}
		if row.Moments {
			r.rows[i].moments = 1
		}
	}
	lib := r.table.lib
	r.args[0] = readRowsArgs{lib: lib.handle, rows: address(r.rows), n: int64(len(rows)), table: r.table.id}
	code := lib.pooled(lib.readRows, unsafe.Pointer(&r.args[0]))
	runtime.KeepAlive(rows)
	if code != 0 {
		return fmt.Errorf("kernels %s: %w", r.table.Name, nativeError(code))
	}
	for i := range rows {
		n := &r.rows[i]
		rows[i].Top, rows[i].Bad, rows[i].Total, rows[i].Moment = n.top, n.bad != 0, n.total, n.moment
	}
	return nil
}
