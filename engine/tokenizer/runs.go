package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

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

// runCut is a runOf with what it needs to know of ASCII.
type runCut struct {
	runOf
	in     [utf8.RuneSelf]bool // the set
	starts [utf8.RuneSelf]bool // the set and, with lead, space
}

func (p runOf) cut() cut {
	t := classes()
	c := &runCut{runOf: p}
	for r := range rune(utf8.RuneSelf) {
		c.in[r] = p.has(r, t.of(r))
		c.starts[r] = c.in[r] || p.lead && t.of(r)&space != 0
	}
	return c.next
}

func (p *runCut) next(s string, i int) (int, int) {
	t := classes()
	for i < len(s) {
		if b := s[i]; b < utf8.RuneSelf && !p.starts[b] {
			i++
			continue
		}
		_, c, w := t.at(s, i)
		if p.lead && c&space != 0 {
			if e, full := p.runAt(t, s, i+w); e > i+w && full {
				return i, e
			}
		}
		if e, full := p.runAt(t, s, i); e > i && full {
			return i, e
		}
		i += w
	}
	return len(s), len(s)
}

func (p *runCut) runAt(t *classTable, s string, i int) (end int, full bool) {
	n := 0
	for ; n < p.n && i < len(s); n++ {
		if b := s[i]; b < utf8.RuneSelf {
			if !p.in[b] {
				break
			}
			i++
			continue
		}
		r, c, w := t.at(s, i)
		if !p.has(r, c) {
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

// threes is the pattern (?=(\d{3})+(?!\d)): empty matches before every third digit,
// counted from the right end of a run. It remembers the run that it is in, since
// measuring the rest for each three would take quadratic time.
func threes(digit func(rune, class) bool) func(s string) cut {
	return func(string) cut {
		t := classes()
		end, left := 0, 0 // of the run of digits: where it ends and how many are to come
		return func(s string, i int) (int, int) {
			for p := i; p < len(s); {
				r, c, w := t.at(s, p)
				if !digit(r, c) {
					p += w
					continue
				}
				if p >= end {
					end, left = runOf{has: digit}.count(t, s, p)
				}
				if left%3 == 0 && p > i {
					return p, p
				}
				p += w
				left--
			}
			return len(s), len(s)
		}
	}
}

// count returns the end of the run of the set at s[i:] and its number of runes.
func (p runOf) count(t *classTable, s string, i int) (end, n int) {
	for {
		r, c, w := t.at(s, i)
		if w == 0 || !p.has(r, c) {
			return i, n
		}
		i += w
		n++
	}
}

func isDigit(r rune, _ class) bool { return unicode.Is(unicode.Nd, r) }
