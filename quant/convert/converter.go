package convert

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/mmap"
)

// converter carries one conversion's state through its tensors.
type converter struct {
	ctx         context.Context
	src         quant.Source
	importance  func(name string) []float32                // may be nil
	feedback    func(name string) (*quant.Feedback, error) // may be nil
	progress    func(done, total int)
	done, total int
	scratch     []byte // off the Go heap, grown to the largest tensor that must be made
	workers     []worker
}

// worker holds one goroutine's rows in work.
type worker struct {
	values []float32 // a row, or with feedback those of a stint
	out    []byte    // the rows of a stint
	err    error
}

// stintBytes is about how much output one goroutine makes between two writes.
const stintBytes = 1 << 20

// maker is a Source that can make a tensor without keeping it.
type maker interface {
	Once(name string, alloc func(n int) ([]byte, error)) (quant.Tensor, error)
}

// load returns a tensor of the source; its Data may be overwritten by the next load.
func (c *converter) load(name string) (quant.Tensor, error) {
	if m, ok := c.src.(maker); ok {
		return m.Once(name, c.alloc)
	}
	return c.src.Tensor(name)
}

func (c *converter) alloc(n int) ([]byte, error) {
	if n > len(c.scratch) {
		mmap.Free(c.scratch)
		var err error
		if c.scratch, err = mmap.Alloc(n); err != nil {
			return nil, err
		}
	}
	return c.scratch[:n], nil
}

func (c *converter) close() {
	mmap.Free(c.scratch)
	c.scratch = nil
}

// write converts a tensor and writes its bytes: rows are spread over goroutines, and
// written in order.
func (c *converter) write(w io.Writer, j job) error {
	t, err := c.load(j.out.Name)
	if err != nil {
		return err
	}
	r := newRows(t, j)
	if err := c.calibrate(&r); err != nil {
		return err
	}
	if c.workers == nil {
		c.workers = make([]worker, runtime.GOMAXPROCS(0))
	}
	stint := max(1, stintBytes/r.outBytes)
	for first := 0; first < r.n; first += stint * len(c.workers) {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		c.spread(r, first, stint)
		for i := range c.workers {
			if err := c.emit(w, &c.workers[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// calibrate sets what is known of the errors of a tensor's rows that are to be quantized.
func (c *converter) calibrate(r *rows) (err error) {
	if r.from == r.to || !quantized(r.to) {
		return nil
	}
	if c.importance != nil {
		if err := r.weigh(c.importance(r.name)); err != nil {
			return err
		}
	}
	if c.feedback != nil && quant.CanFeedback(r.to) {
		r.feedback, err = c.feedback(r.name)
	}
	return err
}

// spread gives each worker a stint of rows from first on and waits for all.
func (c *converter) spread(r rows, first, stint int) {
	var wg sync.WaitGroup
	for i := range c.workers {
		from := min(first+i*stint, r.n)
		to := min(from+stint, r.n)
		wg.Go(func() { c.workers[i].convert(r, from, to) })
	}
	wg.Wait()
}

// emit writes a worker's rows.
func (c *converter) emit(w io.Writer, k *worker) error {
	if k.err != nil {
		return k.err
	}
	if _, err := w.Write(k.out); err != nil {
		return err
	}
	c.done += len(k.out)
	if c.progress != nil && len(k.out) > 0 {
		c.progress(c.done, c.total)
	}
	return nil
}

// rows is a tensor's conversion seen as rows that do not depend on each other.
type rows struct {
	name              string
	data              []byte
	from, to          quant.DType
	n, cols           int
	inBytes, outBytes int
	perHead           int       // rows of a head that change to interleaved pairs, 0 = none
	importance        []float32 // of the columns, of each expert's after another's; nil = all alike
	feedback          *quant.Feedback
}

func newRows(t quant.Tensor, j job) rows {
	r := rows{name: t.Name, data: t.Data, from: t.DType, to: j.out.DType, n: t.Rows(), cols: t.Cols()}
	if j.heads > 0 && len(t.Shape) == 1 {
		r.n, r.cols = r.cols, 1 // a bias: its elements go with the weight's rows
	}
	if j.heads > 0 {
		r.perHead = r.n / j.heads
	}
	r.inBytes, r.outBytes = r.from.RowBytes(r.cols), r.to.RowBytes(r.cols)
	return r
}

// source returns which of the tensor's rows becomes row i: of a head's rows the two
// halves are laid one into the other.
func (r *rows) source(i int) int {
	if r.perHead == 0 {
		return i
	}
	head, in := i/r.perHead, i%r.perHead
	return head*r.perHead + in%2*(r.perHead/2) + in/2
}

// weigh sets the columns' importance.
func (r *rows) weigh(importance []float32) error {
	if experts := len(importance) / r.cols; len(importance) > 0 && (len(importance)%r.cols != 0 || r.n%experts != 0) {
		return fmt.Errorf("tensor %q has %d rows of %d columns: %d weights of importance do not fit", r.name, r.n, r.cols, len(importance))
	}
	r.importance = importance
	return nil
}

// columns returns the importance of row i's columns, or nil.
func (r *rows) columns(i int) []float32 {
	if len(r.importance) == 0 {
		return nil
	}
	expert := i / (r.n * r.cols / len(r.importance))
	return r.importance[expert*r.cols:][:r.cols]
}

// convert makes the rows [from, to).
func (k *worker) convert(r rows, from, to int) {
	k.out = grown(k.out, (to-from)*r.outBytes)
	held := 1 // rows whose values are wanted together
	if r.feedback != nil {
		held = to - from
	}
	k.values = grown(k.values, held*r.cols)
	k.err = nil
	for i := from; i < to && k.err == nil; i++ {
		k.err = k.row(r, i, k.out[(i-from)*r.outBytes:][:r.outBytes], k.values[(i-from)%held*r.cols:][:r.cols])
	}
	if r.feedback != nil && k.err == nil {
		if err := r.feedback.Quantize(r.to, k.out, k.values); err != nil {
			k.err = fmt.Errorf("tensor %q, of rows %d to %d: %w", r.name, from, to-1, err)
		}
	}
}

// row converts row i through values to out, or to values alone where feedback is to go on.
// Integers are no weights: they pass as they are.
func (k *worker) row(r rows, i int, out []byte, values []float32) error {
	s := r.source(i)
	in := r.data[s*r.inBytes:][:r.inBytes]
	if quant.CanDequantize(r.from) {
		quant.Dequantize(r.from, values, in)
		if err := finite(r.name, values, s*r.cols); err != nil {
			return err
		}
	}
	if r.from == r.to {
		copy(out, in)
		return nil
	}
	if r.feedback != nil {
		return nil
	}
	if err := quant.Quantize(r.to, out, values, r.columns(s)); err != nil {
		return fmt.Errorf("tensor %q, row %d: %w", r.name, s, err)
	}
	return nil
}

func finite(name string, values []float32, first int) error {
	for i, v := range values {
		if v-v != 0 {
			return fmt.Errorf("tensor %q has %v at index %d: the model is damaged", name, v, first+i)
		}
	}
	return nil
}

func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
