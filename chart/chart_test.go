package chart

import (
	"math"
	"strings"
	"testing"
)

// TestPlaces: points lie where their values are.
func TestPlaces(t *testing.T) {
	c := &Chart{Lines: []Line{{Points: []Point{{X: 1234, Y: 80}, {X: 2468, Y: 160}}}}}
	c.Fit(Logarithmic)
	if x, y := c.px(0), c.py(c.YScale.low); x != left || y != height-low {
		t.Errorf("the origin lies at %v, %v", x, y)
	}
	if !(c.px(1234) < c.px(2468)) || !(c.py(80) > c.py(160)) {
		t.Error("more lies left of or below less")
	}
}

func TestScales(t *testing.T) {
	for high, want := range map[float64]float64{0: 1, 0.9: 1, 7: 8, 100: 100, 101: 150, 4321: 5000} {
		if s := Linear(0, high); math.Abs(s.high-want) > 1e-9 || len(s.ticks) < 3 || s.ticks[len(s.ticks)-1].at > s.high*1.001 {
			t.Errorf("a linear axis for %v ends at %v with %d ticks, want %v", high, s.high, len(s.ticks), want)
		}
	}
	s := logarithmic(3, 70)
	if s.low != 2 || s.high != 100 || len(s.ticks) != 6 || s.place(2) != 0 || s.place(100) != 1 || s.place(1e9) != 1 {
		t.Errorf("a logarithmic axis for 3 to 70: %v to %v, %d ticks", s.low, s.high, len(s.ticks))
	}
	if one := logarithmic(10, 10); !(one.low < one.high) {
		t.Errorf("an axis for 10 alone: %v to %v", one.low, one.high)
	}
	for _, within := range []struct {
		low, high float64
		log       bool
		want      string
	}{{2.1, 9.6, false, "2 4 6 8 10"}, {2.1, 9.6, true, "2 4 6 8 10"}, {0.9, 7, true, "0.5 1 2 5 10"}, {0.45, 3.9, true, "0.2 0.5 1 2 5"}, {3.2101, 3.2149, false, "3.18 3.19 3.2 3.21 3.22"}, {-3, 2, false, "-3 -2 -1 0 1 2"}, {-7, -7, false, "-7.08 -7.06 -7.04 -7.02 -7"}, {-0.25, -0.25, false, "-0.2525 -0.252 -0.2515 -0.251 -0.2505 -0.25"}, {5, 5, false, "4.95 4.96 4.97 4.98 4.99 5"}} {
		s := Linear(within.low, within.high)
		if within.log {
			s = logarithmic(within.low, within.high)
		}
		var texts []string
		for _, t := range s.ticks {
			texts = append(texts, t.text)
		}
		if got := strings.Join(texts, " "); got != within.want || s.low > within.low || s.high < within.high {
			t.Errorf("from %v to %v (logarithmic: %v): %v to %v, ticks %s, want %s", within.low, within.high, within.log, s.low, s.high, got, within.want)
		}
	}
	n := Nines()
	if a, b := n.place(99)-n.place(90), n.place(99.9)-n.place(99); math.Abs(a-b) > 1e-9 || n.place(100) != 1 {
		t.Errorf("nines lie %v and %v apart", a, b)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 12: "12", 12.34: "12.3", 123.4: "123", 1500: "1,500", 2.5e6: "2.5M", 3e9: "3G", 0.001: "0.001", 999999: "999,999", 100: "100"} {
		if got := Number(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}
