package tokenizer

import (
	"strings"

	"github.com/ingot-llm/ingot/engine/tokenizer/regex"
)

// behavior says what becomes of the matches of a stage's pattern.
type behavior uint8

const (
	isolated behavior = iota // a piece of its own
	removed
	withPrevious // part of the piece before it
	withNext     // part of the piece after it
	contiguous   // matches in a row are one piece
)

// stage is one pre-tokenizer: it cuts each piece that it is given into smaller ones.
// Stages are immutable.
type stage struct {
	rewrite func(s string, first bool) string // before cutting; first: at the text's start
	cut     cut                               // nil: no cutting
	perText func(s string) cut                // in place of cut, for a pattern with a budget per piece
	how     behavior
	invert  bool // what lies between matches is the match
}

// budgeted runs an expression that has no hand-written cut. Its budget of steps is
// that of one piece; when it is spent the rest of the piece stays whole.
func budgeted(re *regex.Regex) func(s string) cut {
	return func(s string) cut {
		steps := regex.Budget(len(s))
		return func(s string, i int) (int, int) { return re.Next(s, i, &steps) }
	}
}

// match is a stretch of a piece, matched or between matches.
type match struct {
	lo, hi int
	is     bool
}

// words cuts s by the stages and encodes the pieces.
func (t *Tokenizer) words(dst []int32, s string, stages []stage, first bool, sc *scratch) []int32 {
	if len(stages) == 0 {
		return t.model.encode(dst, s, sc)
	}
	st, rest := &stages[0], stages[1:]
	if st.rewrite != nil {
		s = st.rewrite(s, first)
	}
	cut := st.cut
	if st.perText != nil {
		cut = st.perText(s)
	}
	if cut == nil {
		return t.words(dst, s, rest, first, sc)
	}
	if st.how == isolated {
		return t.isolated(dst, s, cut, rest, first, sc)
	}
	base := len(sc.matches)
	sc.matches = st.matches(sc.matches, s, cut)
	for i := base; i < len(sc.matches); i++ {
		m := sc.matches[i]
		dst = t.words(dst, s[m.lo:m.hi], rest, first && m.lo == 0, sc)
	}
	sc.matches = sc.matches[:base]
	return dst
}

// isolated is the common case: every match and every gap is a piece.
func (t *Tokenizer) isolated(dst []int32, s string, cut cut, rest []stage, first bool, sc *scratch) []int32 {
	for i := 0; i < len(s); {
		lo, hi := cut(s, i)
		if lo > i {
			dst = t.words(dst, s[i:lo], rest, first && i == 0, sc)
		}
		if hi > lo {
			dst = t.words(dst, s[lo:hi], rest, first && lo == 0, sc)
		}
		i = hi
	}
	return dst
}

// matches appends the pieces that a stage with a behavior other than isolated leaves.
func (st *stage) matches(dst []match, s string, cut cut) []match {
	base := len(dst)
	for i := 0; i < len(s); {
		lo, hi := cut(s, i)
		if lo > i {
			dst = st.join(dst, base, match{i, lo, st.invert})
		}
		if hi > lo {
			dst = st.join(dst, base, match{lo, hi, !st.invert})
		}
		i = hi
	}
	return dst
}

// join appends m, or makes it part of the last piece.
func (st *stage) join(dst []match, base int, m match) []match {
	if len(dst) > base {
		last := &dst[len(dst)-1]
		join := false
		switch st.how {
		case withPrevious:
			join = m.is && !last.is
		case withNext:
			join = last.is && !m.is
		case contiguous:
			join = m.is == last.is
		}
		if join {
			last.hi, last.is = m.hi, m.is
			return dst
		}
	}
	if st.how == removed && m.is {
		return dst
	}
	return append(dst, m)
}

// literal is the pattern of one fixed text.
func literal(text string) cut {
	return func(s string, i int) (int, int) {
		at := strings.Index(s[i:], text)
		if at < 0 || text == "" {
			return len(s), len(s)
		}
		return i + at, i + at + len(text)
	}
}

// spaceMark is how SentencePiece writes a space.
const spaceMark = "\u2581"

// markedWords cuts before each row of space marks that follows something else.
func markedWords(s string, i int) (int, int) {
	j := i
	for strings.HasPrefix(s[j:], spaceMark) {
		j += len(spaceMark)
	}
	at := strings.Index(s[j:], spaceMark)
	if at < 0 {
		return i, len(s)
	}
	return i, j + at
}
