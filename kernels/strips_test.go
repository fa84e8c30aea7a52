package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// logitRows returns rows of many lengths, of both signs, some with masks, some spread so
// wide that most weights are 0, and rows that cannot be drawn from. The last ones are bad.
func logitRows(random *rand.Rand) (rows []Row) {
	inf := float32(math.Inf(1))
	for i := range 120 {
		x := make([]float32, 1+random.IntN([]int{3, 130, 3000}[i%3]))
		spread, shift := math.Exp(6*random.Float64()-1), 20*random.NormFloat64()
		for j := range x {
			if x[j] = float32(spread*random.NormFloat64() + shift); i%4 == 1 && random.IntN(3) == 0 {
				x[j] = -inf
			}
		}
		rows = append(rows, Row{X: x, Scale: float32(math.Exp(4 * random.NormFloat64())), Moments: i%2 == 0})
	}
	rows[5].Scale, rows[6].Scale, rows[7].Scale = 0, math.MaxFloat32, math.SmallestNonzeroFloat32
	for _, v := range []float32{math.MaxFloat32, -math.MaxFloat32, -inf} {
		rows = append(rows, Row{X: slices.Repeat([]float32{v}, 70), Scale: 1.5, Moments: true}, Row{X: []float32{3, v}, Scale: 1})
	}
	for i, bits := range []uint32{0x7F800000, 0x7F800001, 0x7FC00000, 0xFF800001, 0xFFC00000, 0xFFFFFFFF} {
		x := slices.Clone(rows[i+20].X)
		x[random.IntN(len(x))] = math.Float32frombits(bits)
		rows = append(rows, Row{X: x, Scale: 1, Bad: true})
	}
	return rows
}

// TestRowsAreTheReferences: every table, with one thread and with three, finds in every row
// the very bits that the reference finds.
func TestRowsAreTheReferences(t *testing.T) {
	rows := logitRows(rand.New(rand.NewPCG(31, 32)))
	want := slices.Clone(rows)
	var reference RowReader
	defer reference.Close()
	if err := reference.Read(want); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if want[i].Bad != rows[i].Bad {
			t.Errorf("reference: row %d is bad: %v", i, want[i].Bad)
		}
	}
	for _, threads := range []int{1, 3} {
		l := Open(threads, Options{})
		defer l.Close()
		for _, table := range l.Tables() {
			r := NewRowReader(table)
			for _, n := range []int{1, 7, len(rows)} { // the reader grows
				got := slices.Clone(rows[len(rows)-n:])
				if err := r.Read(got); err != nil {
					t.Fatal(err)
				}
				for i := range got {
					if w := &want[len(rows)-n+i]; !sameRow(&got[i], w) {
						t.Fatalf("%s, %d threads, row %d of %d:\n%+v\nwant\n%+v", table.Name, threads, i, n, got[i], *w)
					}
				}
			}
			r.Close()
		}
	}
}

// sameRow compares what two readers found; zeros of either sign are the same maximum.
func sameRow(a, b *Row) bool {
	if a.Bad || b.Bad {
		return a.Bad == b.Bad
	}
	weighed := a.Scale != 0 && !math.IsInf(float64(a.Top), -1)
	return a.Top == b.Top && slices.Equal(a.High, b.High) && a.Total == b.Total && a.Moment == b.Moment &&
		(!weighed || slices.EqualFunc(a.Sums, b.Sums, sameBits))
}

// TestRowIsWhatItSays holds the reference to plain sums in float64.
func TestRowIsWhatItSays(t *testing.T) {
	var r RowReader
	defer r.Close()
	rows := logitRows(rand.New(rand.NewPCG(33, 34)))
	if err := r.Read(rows); err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		row := &rows[i]
		if row.Bad || math.IsInf(float64(row.Top), -1) || row.Scale == 0 {
			continue
		}
		total, moment := 0.0, 0.0
		for _, v := range row.X {
			y := max((float64(v)-float64(row.Top))*float64(row.Scale), -1e4)
			total += math.Exp2(y)
			moment += math.Exp2(y) * y
		}
		if !row.Moments {
			moment = 0
		}
		if row.Top != slices.Max(row.X) || math.Abs(row.Total/total-1) > 1e-6 || math.Abs(row.Moment-moment) > 4e-6*total {
			t.Errorf("row %d: largest %v, total %v, moment %v, want %v, %v, %v", i, row.Top, row.Total, row.Moment, slices.Max(row.X), total, moment)
		}
	}
}

func TestLogitWeight(t *testing.T) {
	worst := 0.0
	for y := float32(-20); y <= 0; y += 0.000737 {
		worst = max(worst, math.Abs(float64(LogitWeight(y, 0, 1))/math.Exp2(float64(y))-1))
	}
	if worst > 1e-6 {
		t.Errorf("relative error %g", worst)
	}
	for _, c := range []struct{ x, top, scale, want float32 }{
		{3, 3, math.MaxFloat32, 1}, {-126, 0, 1, 0}, {float32(math.Inf(-1)), 0, 1, 0}, {-math.MaxFloat32, math.MaxFloat32, 9, 0},
		{-125, 0, 1, 0x1p-125}, {1, 2, 1, 0.5},
	} {
		if got := LogitWeight(c.x, c.top, c.scale); got != c.want {
			t.Errorf("LogitWeight(%v, %v, %v) = %v, want %v", c.x, c.top, c.scale, got, c.want)
		}
	}
}

// BenchmarkReadRows reads a row of llama 3's vocabulary, and 64 of llama 2's.
func BenchmarkReadRows(b *testing.B) {
	for _, shape := range [][2]int{{1, 128256}, {64, 32000}} {
		for _, scale := range []float32{0, 1} {
			name := map[float32]string{0: "maxima", 1: "weights"}[scale]
			b.Run(fmt.Sprintf("%s/%dx%d", name, shape[0], shape[1]), func(b *testing.B) {
				benchReadRows(b, shape[0], shape[1], scale)
			})
		}
	}
}

func benchReadRows(b *testing.B, n, vocab int, scale float32) {
	random := rand.New(rand.NewPCG(1, 2))
	r := NewRowReader(Tables()[0])
	defer r.Close()
	rows := make([]Row, n)
	for i := range rows {
		rows[i] = Row{X: make([]float32, vocab), Scale: scale}
		for j := range rows[i].X {
			rows[i].X[j] = float32(2.5 * random.NormFloat64())
		}
	}
	b.SetBytes(int64(4 * n * vocab))
	for b.Loop() {
		if err := r.Read(rows); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "us/row")
}
