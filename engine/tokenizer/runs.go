package tokenizer

import "strings"

// runOf is the pattern [set]{1,n} with, where lead is set, one space before it
// ("\s?[set]+"). Exact makes it exactly n ("[0-9][0-9][0-9]").
type runOf struct {
	has   func(r rune, c class) bool
	n     int
	lead  bool
	exact bool
}

// unlimited is runOf's n for "+".
const unlimited = 1 << 62

func (p runOf) cut() cut {
	return func(s string, i int) (int, int) { return p.next(s, i) }
}

func (p *runOf) next(s string, i int) (int, int) {
	t := classes()
	for i < len(s) {
		_, c, w := t.at(s, i)
		start := i
		if p.lead && c&space != 0 {
			i += w
		}
		e, full := p.runAt(t, s, i)
		if e > i && full {
			return start, e
		}
		if i == start {
			i += w
		}
	}
	return len(s), len(s)
}

func (p *runOf) runAt(t *classTable, s string, i int) (end int, full bool) {
	n := 0
	for ; n < p.n; n++ {
		r, c, w := t.at(s, i)
		if w == 0 || !p.has(r, c) {
			break
		}
		i += w
	}
	return i, !p.exact || n == p.n
}

func ofClass(want class) func(rune, class) bool {
	return func(_ rune, c class) bool { return c&want != 0 }
}

// inRanges makes a set of inclusive ranges written as pairs of runes.
func inRanges(pairs string) func(rune, class) bool {
	rs := []rune(pairs)
	return func(r rune, _ class) bool {
		for i := 0; i+1 < len(rs); i += 2 {
			if rs[i] <= r && r <= rs[i+1] {
				return true
			}
		}
		return false
	}
}

func oneOf(set string) func(rune, class) bool {
	return func(r rune, _ class) bool { return strings.ContainsRune(set, r) }
}

func not(f func(rune, class) bool) func(rune, class) bool {
	return func(r rune, c class) bool { return !f(r, c) }
}

// trailingSpace is the pattern \s+$.
func trailingSpace(s string, i int) (int, int) {
	t := classes()
	start := -1
	for j := i; j < len(s); {
		_, c, w := t.at(s, j)
		if c&space == 0 {
			start = -1
		} else if start < 0 {
			start = j
		}
		j += w
	}
	if start < 0 {
		return len(s), len(s)
	}
	return start, len(s)
}
