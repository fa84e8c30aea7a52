package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// class is the set of properties of a rune that pre-tokenizers ask for, one bit each.
type class uint8

const (
	letter class = 1 << iota // \p{L}
	number                   // \p{N}
	mark                     // \p{M}
	punct                    // \p{P}
	symbol                   // \p{S}
	space                    // \s, Unicode's White_Space
	upper                    // \p{Lu} and \p{Lt}
	lower                    // \p{Ll}
)

// classTable is a two-level table: pages[r>>8] numbers a page of 256 classes, and
// equal pages are stored once. It takes some 60 kB.
type classTable struct {
	pages [(utf8.MaxRune + 1) >> 8]uint16
	data  [][256]class
}

var classes = sync.OnceValue(func() *classTable {
	flat := make([]class, utf8.MaxRune+1)
	for _, p := range []struct {
		table *unicode.RangeTable
		bit   class
	}{
		{unicode.L, letter}, {unicode.N, number}, {unicode.M, mark}, {unicode.P, punct}, {unicode.S, symbol},
		{unicode.White_Space, space}, {unicode.Lu, upper}, {unicode.Lt, upper}, {unicode.Ll, lower},
	} {
		fill(flat, p.table, p.bit)
	}
	t := &classTable{}
	seen := map[[256]class]uint16{}
	for i := range t.pages {
		page := [256]class(flat[i<<8:])
		n, ok := seen[page]
		if !ok {
			n = uint16(len(t.data))
			seen[page] = n
			t.data = append(t.data, page)
		}
		t.pages[i] = n
	}
	return t
})

func fill(flat []class, t *unicode.RangeTable, bit class) {
	for _, r := range t.R16 {
		for c := int(r.Lo); c <= int(r.Hi); c += int(r.Stride) {
			flat[c] |= bit
		}
	}
	for _, r := range t.R32 {
		for c := int(r.Lo); c <= int(r.Hi); c += int(r.Stride) {
			flat[c] |= bit
		}
	}
}

// of returns the class of r, which utf8 decoding gave (so it is in range).
func (t *classTable) of(r rune) class {
	return t.data[t.pages[r>>8]][r&0xff]
}

// at decodes the rune at s[i:] and returns it with its class and width; the width is
// 0 at the end. An invalid byte counts as U+FFFD, a symbol, of width 1.
func (t *classTable) at(s string, i int) (r rune, c class, width int) {
	if i >= len(s) {
		return 0, 0, 0
	}
	if b := s[i]; b < utf8.RuneSelf {
		return rune(b), t.data[0][b], 1
	}
	r, width = utf8.DecodeRuneInString(s[i:])
	return r, t.of(r), width
}

// run returns the end of the run of runes of any of the classes want at s[i:].
func (t *classTable) run(s string, i int, want class) int {
	ascii := &t.data[0]
	for i < len(s) {
		if b := s[i]; b < utf8.RuneSelf {
			if ascii[b]&want == 0 {
				break
			}
			i++
			continue
		}
		r, w := utf8.DecodeRuneInString(s[i:])
		if t.of(r)&want == 0 {
			break
		}
		i += w
	}
	return i
}
