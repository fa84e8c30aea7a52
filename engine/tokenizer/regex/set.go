package regex

import (
	"cmp"
	"slices"
	"unicode"
)

// set is a set of runes: sorted ranges that neither touch nor overlap, with a bitmap
// of the first 128 for speed.
type set struct {
	ascii  [2]uint64
	ranges []span
}

type span struct{ lo, hi rune }

func newSet(spans ...span) *set {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	s := &set{}
	for _, r := range spans {
		if n := len(s.ranges); n > 0 && r.lo <= s.ranges[n-1].hi+1 {
			s.ranges[n-1].hi = max(s.ranges[n-1].hi, r.hi)
		} else {
			s.ranges = append(s.ranges, r)
		}
	}
	for c := rune(0); c < 128; c++ {
		if s.find(c) {
			s.ascii[c>>6] |= 1 << (c & 63)
		}
	}
	return s
}

func (s *set) has(r rune) bool {
	if uint32(r) < 128 {
		return s.ascii[r>>6]>>(r&63)&1 != 0
	}
	return s.find(r)
}

func (s *set) find(r rune) bool {
	lo, hi := 0, len(s.ranges)
	for lo < hi {
		if m := (lo + hi) / 2; s.ranges[m].hi < r {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo < len(s.ranges) && s.ranges[lo].lo <= r
}

func (s *set) not() *set {
	var out []span
	next := rune(0)
	for _, r := range s.ranges {
		if r.lo > next {
			out = append(out, span{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= unicode.MaxRune {
		out = append(out, span{next, unicode.MaxRune})
	}
	return newSet(out...)
}

func (s *set) or(t *set) *set { return newSet(append(slices.Clone(s.ranges), t.ranges...)...) }

func (s *set) and(t *set) *set { return s.not().or(t.not()).not() }

// fold adds the other letter cases of the set's runes. Large sets (properties) are
// left alone: those that tokenizers use are closed under case.
func (s *set) fold() *set {
	var out []span
	for _, r := range s.ranges {
		if r.hi-r.lo > 1024 {
			continue
		}
		for c := r.lo; c <= r.hi; c++ {
			for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
				out = append(out, span{f, f})
			}
		}
	}
	return newSet(append(out, s.ranges...)...)
}

func tableSet(tables ...*unicode.RangeTable) *set {
	var out []span
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			out = append(out, span{lo, hi})
			return
		}
		for c := lo; c <= hi; c += stride {
			out = append(out, span{c, c})
		}
	}
	for _, t := range tables {
		for _, r := range t.R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range t.R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	return newSet(out...)
}

var (
	spaceSet = tableSet(unicode.White_Space)
	digitSet = tableSet(unicode.Nd)
	wordSet  = tableSet(unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
	anySet   = newSet(span{0, unicode.MaxRune})
	dotSet   = newSet(span{'\n', '\n'}).not()
)

// property returns the set that a Unicode general category, script or property of
// this name holds.
func property(name string) (*set, bool) {
	for _, m := range []map[string]*unicode.RangeTable{unicode.Categories, unicode.Scripts, unicode.Properties} {
		if t, ok := m[name]; ok {
			return tableSet(t), true
		}
	}
	return nil, false
}
