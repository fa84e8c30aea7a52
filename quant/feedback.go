package quant

import (
	"fmt"
	"math"
	"runtime"
	"sync"
)

// Feedback rounds the rows of a weight onto a type's grid so that later columns make good
// the errors of earlier ones: GPTQ (Frantar et al. 2022), in the order of the columns. With
// H the sum of x x^T over what the weight multiplies and e = w - q a row's errors, what is
// kept small is e H e^T.
//
// With H = R R^T, R upper triangular, that is the sum over columns k of
//
//	R_kk^2 (w_k + sum of j < k of e_j R_jk/R_kk - q_k)^2
//
// so that the q_k nearest to the first two summands is the best one once q_0 ... q_k-1 are
// chosen, whatever follows: GPTQ's inverse Hessian is not needed (Chen et al. 2025 show
// that this is Babai's nearest plane). It does not change after NewFeedback and is safe for
// concurrent use.
type Feedback struct {
	cols    int
	weights []float64 // R_kk^2: what an error of column k costs that no later column can make good
	// panels holds R_jk/R_kk by panels of panelCols columns, the rows j that are not all
	// zeros one after another.
	panels []float32
}

// FeedbackCols divides the number of columns of the weights that Feedback takes.
const FeedbackCols = panelCols

// panelCols is a divisor of every block type's length.
const panelCols = 32

// damping is added to H's diagonal as a share of its mean, as in GPTQ: what the text did
// not reach is held as it is.
const damping = 0.01

// NewFeedback factors h [n, n], which is symmetric, for weights of n columns, a multiple of
// FeedbackCols. h that is not finite, or zero, is an error.
func NewFeedback(h []float32) (*Feedback, error) {
	cols := int(math.Sqrt(float64(len(h))))
	if cols < 1 || cols%panelCols != 0 || len(h) != cols*cols {
		panic(fmt.Sprintf("BUG: feedback from %d products", len(h)))
	}
	r := make([]float64, len(h))
	var trace float64
	for i, v := range h {
		r[i] = float64(v)
	}
	for k := range cols {
		trace += r[k*cols+k]
	}
	if !(trace > 0 && trace <= math.MaxFloat64) {
		return nil, fmt.Errorf("the squares of what the weight multiplies add up to %g, want a finite number above 0", trace)
	}
	for k := range cols {
		r[k*cols+k] += damping * trace / float64(cols)
	}
	if k := factor(r, cols); k >= 0 {
		return nil, fmt.Errorf("the products of what the weight multiplies are not those of numbers: column %d", k)
	}
	return newPanels(r, cols), nil
}

// factor replaces the upper triangle of the positive definite h [n, n] by R with R R^T = h:
// Cholesky's factorization from the last column to the first, panelCols columns at a time.
// It returns the column at which h turns out not to be positive definite, or -1.
func factor(h []float64, n int) (bad int) {
	row := func(j, from, to int) []float64 { return h[j*n+from : j*n+to] }
	for from := n - panelCols; from >= 0; from -= panelCols {
		to := from + panelCols
		column := func(j, k int) { // R_jk, once R_j,k+1 ... and R_kk are known
			h[j*n+k] = (h[j*n+k] - dot64(row(j, k+1, to), row(k, k+1, to))) / h[k*n+k]
		}
		parallel(to, func(j int) { // what the columns behind the panel explain
			for k := max(from, j); k < to; k++ {
				h[j*n+k] -= dot64(row(j, to, n), row(k, to, n))
			}
		})
		for k := to - 1; k >= from; k-- {
			d := h[k*n+k] - dot64(row(k, k+1, to), row(k, k+1, to))
			if !(d > 0 && d <= math.MaxFloat64) {
				return k
			}
			h[k*n+k] = math.Sqrt(d)
			for j := from; j < k; j++ {
				column(j, k)
			}
		}
		parallel(from, func(j int) {
			for k := to - 1; k >= from; k-- {
				column(j, k)
			}
		})
	}
	return -1
}

func dot64(a, b []float64) (sum float64) {
	var s [4]float64
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s[0] += a[i] * b[i]
		s[1] += a[i+1] * b[i+1]
		s[2] += a[i+2] * b[i+2]
		s[3] += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		sum += a[i] * b[i]
	}
	return sum + s[0] + s[1] + s[2] + s[3]
}

// parallel calls f for 0 ... n-1 on all processors.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	parts := min(runtime.GOMAXPROCS(0), n)
	for p := range parts {
		wg.Go(func() {
			for i := p; i < n; i += parts {
				f(i)
			}
		})
	}
	wg.Wait()
}

// newPanels takes R from the upper triangle of r [n, n].
func newPanels(r []float64, n int) *Feedback {
	f := &Feedback{cols: n, weights: make([]float64, n), panels: make([]float32, panelAt(n/panelCols))}
	for k := range n {
		d := r[k*n+k]
		f.weights[k] = d * d
		panel := f.panels[panelAt(k/panelCols):]
		for j := range k + 1 {
			panel[j*panelCols+k%panelCols] = float32(r[j*n+k] / d)
		}
	}
	return f
}

// panelAt returns where panel p begins: panel i has (i+1)*panelCols rows.
func panelAt(p int) int { return p * (p + 1) / 2 * panelCols * panelCols }

// CanFeedback reports whether Feedback.Quantize takes d.
func CanFeedback(d DType) bool { return codecOf(d).grid.pack != nil }

// Quantize writes rows of values, one after another, as type d to dst, as the function
// Quantize does, with the same errors and panics; but scales are chosen when a block begins,
// for what its values are to be after the errors before it, and each value is rounded with
// what the errors before it add.
func (f *Feedback) Quantize(d DType, dst []byte, src []float32) error {
	if !CanFeedback(d) || len(src)%f.cols != 0 {
		panic(fmt.Sprintf("BUG: feedback over %d columns for %d values of %v", f.cols, len(src), d))
	}
	c, bytes := codecOf(d), d.RowBytes(f.cols)
	checkRow(d, len(src), len(dst))
	if err := checkValues(d, src, c.limit); err != nil {
		return err
	}
	errors := make([]float32, len(src))
	elems, size := d.BlockElems(), d.BlockBytes()
	r := roundings.Get().(*rounding)
	defer roundings.Put(r)
	for from := 0; from < f.cols; from += elems {
		for row := range len(src) / f.cols {
			r.values = src[row*f.cols+from:][:elems]
			r.errors = errors[row*f.cols:][:from+elems]
			r.block(f, c, dst[row*bytes+from/elems*size:][:size])
		}
	}
	return nil
}

// rounding is one block of a row in work.
type rounding struct {
	values []float32 // as they are
	errors []float32 // of the row's columns, up to the block's last
	want   [256]float32
	q      [256]uint8
	problem
	unpacked block
}

// roundings lends Feedback.Quantize its block.
var roundings = sync.Pool{New: func() any { return new(rounding) }}

// block rounds the values to dst and sets their errors.
func (r *rounding) block(f *Feedback, c *codec, dst []byte) {
	n := len(r.values)
	from := len(r.errors) - n
	copy(r.want[:], r.values)
	for at := from; at < from+n; at += panelCols {
		addRows(r.want[at-from:], f.panels[panelAt(at/panelCols):], r.errors[:from])
	}
	r.scales(f, c, dst, from)
	for i, v := range r.values {
		e := v - r.nearest(c, i)
		r.errors[from+i] = e
		r.pass(f, from, from+i, e)
	}
	c.grid.pack(dst, r.q[:n])
}

// addRows adds rows of a panel, each times its column's error: what the errors ask of the
// panel's columns. There is a multiple of panelCols of them.
func addRows(want, panel, errors []float32) {
	want = want[:panelCols]
	for ; len(errors) > 0; errors, panel = errors[4:], panel[4*panelCols:] {
		a, b, c, d := panel[:panelCols], panel[panelCols:][:panelCols], panel[2*panelCols:][:panelCols], panel[3*panelCols:][:panelCols]
		ea, eb, ec, ed := errors[0], errors[1], errors[2], errors[3]
		for i := range want {
			want[i] += ea*a[i] + eb*b[i] + (ec*c[i] + ed*d[i])
		}
	}
}

// pass adds what the error e of column j asks of the columns of its panel and of those
// behind it in the block that begins at column from.
func (r *rounding) pass(f *Feedback, from, j int, e float32) {
	for at := j / panelCols * panelCols; at < from+len(r.values); at += panelCols {
		ratios := f.panels[panelAt(at/panelCols)+j*panelCols:][:panelCols]
		want := r.want[at-from:][:panelCols]
		for i, v := range ratios {
			want[i] += e * v
		}
	}
}

// scales chooses the block's scales for what its values are wanted to be.
func (r *rounding) scales(f *Feedback, c *codec, dst []byte, from int) {
	n := len(r.values)
	if c.search == nil {
		c.encode(dst, r.want[:n])
	} else {
		for i, v := range r.want[:n] {
			r.x[i], r.w[i] = float64(v), f.weights[from+i]
		}
		c.search(dst, r.x[:n], r.w[:n])
	}
	c.unpack(&r.unpacked, dst)
}

// nearest sets q of the block's element i, and returns its value.
func (r *rounding) nearest(c *codec, i int) float32 {
	scale, least := r.unpacked.scale[i/c.group], float32(0)
	if c.offset {
		least = r.unpacked.min[i/c.group]
	}
	inverse := 0.0
	if scale != 0 {
		inverse = 1 / float64(scale)
	}
	r.q[i] = c.grid.nearest((float64(r.want[i]) + float64(least)) * inverse)
	return scale*float32(c.grid.codes[r.q[i]]) - least
}
