// Package unorm brings text into Unicode's normalization forms (UAX #15), which
// tokenizer files ask for by name.
package unorm

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Form is a normalization form.
type Form uint8

// The four forms: canonical or compatible (K), decomposed (D) or composed (C).
const (
	NFC Form = iota
	NFD
	NFKC
	NFKD
)

//go:embed tables.txt
var tablesText string

// data holds the Unicode character database's part that normalization needs.
type data struct {
	class      map[rune]uint8
	canonical  map[rune][]rune
	compatible map[rune][]rune
	compose    map[[2]rune]rune
}

var tables = sync.OnceValue(func() *data {
	d := &data{class: map[rune]uint8{}, canonical: map[rune][]rune{}, compatible: map[rune][]rune{}, compose: map[[2]rune]rune{}}
	for line := range strings.Lines(tablesText) {
		if !strings.HasPrefix(line, "#") {
			d.parse(strings.TrimSuffix(line, "\n"))
		}
	}
	return d
})

func (d *data) parse(line string) {
	if span, class, ok := strings.Cut(line, " "); ok && strings.Contains(span, "..") {
		var lo, hi rune
		var n uint8
		scan(span+" "+class, "%X..%X %d", &lo, &hi, &n)
		for r := lo; r <= hi; r++ {
			d.class[r] = n
		}
		return
	}
	f := strings.Fields(line)
	var from rune
	scan(f[0], "%X", &from)
	to := make([]rune, len(f)-2)
	for i := range to {
		scan(f[i+2], "%X", &to[i])
	}
	if f[1] == "~" {
		d.compatible[from] = to
		return
	}
	d.canonical[from] = to
	if f[1] == "=" && len(to) == 2 {
		d.compose[[2]rune{to[0], to[1]}] = from
	}
}

func scan(s, format string, args ...any) {
	if _, err := fmt.Sscanf(s, format, args...); err != nil {
		panic(fmt.Sprintf("BUG: the table of decompositions holds %q: %v", s, err))
	}
}

// Hangul syllables decompose by arithmetic (The Unicode Standard, section 3.12).
const (
	sBase, lBase, vBase, tBase = 0xAC00, 0x1100, 0x1161, 0x11A7
	lCount, vCount, tCount     = 19, 21, 28
	nCount                     = vCount * tCount
	sCount                     = lCount * nCount
)

// String returns s in form f. Invalid bytes become U+FFFD, except in a text that is
// all ASCII, which is every form of itself.
func (f Form) String(s string) string {
	if isASCII(s) {
		return s
	}
	d := tables()
	out := make([]rune, 0, len(s))
	for i := 0; i < len(s); {
		r, w := utf8.DecodeRuneInString(s[i:])
		out = d.decompose(out, r, f == NFKC || f == NFKD)
		i += w
	}
	d.order(out)
	if f == NFC || f == NFKC {
		out = d.composed(out)
	}
	return string(out)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (d *data) decompose(out []rune, r rune, compat bool) []rune {
	if s := r - sBase; s >= 0 && s < sCount {
		out = append(out, lBase+s/nCount, vBase+s%nCount/tCount)
		if t := s % tCount; t > 0 {
			out = append(out, tBase+t)
		}
		return out
	}
	to, ok := d.canonical[r]
	if !ok && compat {
		to, ok = d.compatible[r]
	}
	if !ok {
		return append(out, r)
	}
	for _, c := range to {
		out = d.decompose(out, c, compat)
	}
	return out
}

// order sorts each run of combining marks by class, keeping equals in order.
func (d *data) order(rs []rune) {
	for i := 0; i < len(rs); {
		if d.class[rs[i]] == 0 {
			i++
			continue
		}
		j := i
		for j < len(rs) && d.class[rs[j]] != 0 {
			j++
		}
		slices.SortStableFunc(rs[i:j], func(a, b rune) int { return int(d.class[a]) - int(d.class[b]) })
		i = j
	}
}

// composed joins, in place, each starter with the marks that follow it unblocked.
func (d *data) composed(rs []rune) []rune {
	out := rs[:0]
	starter := -1
	last := uint8(0)
	for _, r := range rs {
		class := d.class[r]
		if starter >= 0 && (starter == len(out)-1 || last < class) {
			if c, ok := d.pair(out[starter], r); ok {
				out[starter] = c
				continue
			}
		}
		if class == 0 {
			starter = len(out)
		}
		last = class
		out = append(out, r)
	}
	return out
}

func (d *data) pair(a, b rune) (rune, bool) {
	if l, v := a-lBase, b-vBase; l >= 0 && l < lCount && v >= 0 && v < vCount {
		return sBase + l*nCount + v*tCount, true
	}
	if s, t := a-sBase, b-tBase; s >= 0 && s < sCount && s%tCount == 0 && t > 0 && t < tCount {
		return a + t, true
	}
	c, ok := d.compose[[2]rune{a, b}]
	return c, ok
}
