package sample

import (
	"fmt"
	"math"

	"github.com/ingot-llm/ingot/kernels"
)

// Sampler is the working memory of sampling for one vocabulary. It belongs to one
// goroutine; after the first calls it allocates nothing.
type Sampler struct {
	reader  *kernels.RowReader
	rows    []kernels.Row
	undo    []edit
	edits   []int       // end of each row's edits in undo
	highest []float32   // up to k largest maxima of strips
	choice  []candidate // up to [V]
	items   []item      // up to [V]
}

// New returns a sampler that reads logits with t; nil is the reference. Whatever the table,
// the tokens are the same.
func New(t *kernels.Table) *Sampler {
	return &Sampler{reader: kernels.NewRowReader(t)}
}

// Close gives the memory back.
func (s *Sampler) Close() { s.reader.Close() }

// Draw is a token to be drawn from Logits [V] for the sequence of State, and then the Token,
// or why there is none: Err wraps ErrBadLogits or ErrNoToken.
//
// Where several draws share a row of logits they lie side by side, and their states differ in
// nothing but the sequences' index: they are the choices of one request.
type Draw struct {
	Logits []float32
	State  *State
	Token  int32
	Err    error
}

// Sample draws the next tokens of many sequences. It does not change their states: the caller
// gives a token to State.Accept, or samples again and gets the same one. Logits are changed
// for the time of the call. A token depends on its row and its state alone.
func (s *Sampler) Sample(draws []Draw) {
	err := s.read(draws)
	row := -1
	for i := range draws {
		d := &draws[i]
		if !sharesRow(draws, i) {
			row++
		}
		if d.Err = err; err == nil {
			d.Token, d.Err = s.draw(&s.rows[row], d.State)
		}
	}
	s.restore()
}

// sharesRow reports whether draw i is from the row of the one before.
func sharesRow(draws []Draw, i int) bool {
	return i > 0 && &draws[i].Logits[0] == &draws[i-1].Logits[0]
}

// read edits the logits of the draws' rows, and reads them.
func (s *Sampler) read(draws []Draw) error {
	s.rows, s.undo, s.edits = s.rows[:0], s.undo[:0], s.edits[:0]
	for i := range draws {
		if sharesRow(draws, i) {
			continue
		}
		d := &draws[i]
		s.undo = d.State.edit(d.Logits, s.undo)
		s.edits = append(s.edits, len(s.undo))
		s.rows = append(s.rows, d.State.params.row(d.Logits))
	}
	return s.reader.Read(s.rows)
}

// restore takes the edits of all rows back.
func (s *Sampler) restore() {
	from := 0
	for i, to := range s.edits {
		restore(s.rows[i].X, s.undo[from:to])
		from = to
	}
}

// draw draws from a row that has been read.
func (s *Sampler) draw(r *kernels.Row, st *State) (int32, error) {
	if err := check(r); err != nil {
		return 0, fmt.Errorf("cannot sample token %d of the answer: %w", st.generated+1, err)
	}
	switch p := st.params; {
	case p.Temperature == 0:
		return argmax(r), nil
	case !p.filters(len(r.X)):
		return drawAny(r, st.uniform()), nil
	default:
		return drawFrom(s.candidates(r, p), st.uniform()), nil
	}
}

// drawAny draws from the whole row: it finds the strip in whose part of the sum u in [0, 1)
// falls, and draws within it.
func drawAny(r *kernels.Row, u float64) int32 {
	left, at := u*r.Total, 0
	for ; at < len(r.Sums)-1 && left >= float64(r.Sums[at]); at++ {
		left -= float64(r.Sums[at])
	}
	last := -1
	for i, v := range stripOf(r, at) {
		w := float64(kernels.LogitWeight(v, r.Top, r.Scale))
		if w > 0 {
			last = at*kernels.Strip + i
		}
		if left -= w; left < 0 {
			break
		}
	}
	if last < 0 {
		return argmax(r) // rounding has left a little over, and the last strip is masked
	}
	return int32(last)
}

// drawFrom returns the candidate in whose part of the summed weights u in [0, 1) falls.
func drawFrom(c []candidate, u float64) int32 {
	left := u * total(c)
	for _, x := range c {
		if left -= x.weight; left < 0 {
			return x.id
		}
	}
	return largest(c)
}

// largest returns the candidate of most weight, for the rounding that drawFrom leaves over.
func largest(c []candidate) int32 {
	best := c[0]
	for _, x := range c {
		if x.weight > best.weight {
			best = x
		}
	}
	return best.id
}

// scaleOf returns the scale of kernels.LogitWeight that is softmax's at a temperature. Below
// 4e-39 it is that of 4e-39, where nothing but the largest logit has a weight either way.
func scaleOf(temperature float32) float32 {
	return float32(min(math.Log2E/float64(temperature), math.MaxFloat32))
}
