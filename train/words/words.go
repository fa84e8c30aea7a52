// Package words finds the words of a text, for what judges and compares documents: as
// numbers, which do not depend on case and punctuation.
package words

import (
	"unicode"
	"unicode/utf8"
)

// Word is a run of characters without space. Where a script has no spaces, such as Han,
// each of its characters is one.
type Word struct {
	// Hash is of the word's letters, marks and digits in lower case; 0: it has none.
	Hash     uint64
	From, To int32 // bytes of the text
	Runes    int32
	Letters  bool // it has one
}

// Split appends the words of text, of less than 2 GiB, to dst. Invalid UTF-8 counts as
// symbols.
func Split(dst []Word, text string) []Word {
	w := Word{Hash: basis}
	for i := 0; i < len(text); {
		k, n := ascii[text[i]], 1
		if k.kind == beyond {
			var r rune
			r, n = utf8.DecodeRuneInString(text[i:])
			k = classify(r)
		}
		if k.kind >= space {
			dst = w.end(dst, i)
		}
		if k.kind != space {
			if w.Runes == 0 {
				w.From = int32(i)
			}
			w.take(k)
		}
		if i += n; k.kind == alone {
			dst = w.end(dst, i)
		}
	}
	return w.end(dst, len(text))
}

// take adds a character to the word.
func (w *Word) take(c character) {
	w.Runes++
	if c.kind != symbol {
		w.Hash = (w.Hash ^ uint64(c.lower)) * prime
		w.Letters = w.Letters || c.kind != digit
	}
}

// end appends the word, if there is one, and begins the next.
func (w *Word) end(dst []Word, at int) []Word {
	if w.Runes == 0 {
		return dst
	}
	w.To = int32(at)
	if w.Hash == basis {
		w.Hash = 0
	} else {
		w.Hash = max(Mix(w.Hash), 1)
	}
	dst = append(dst, *w)
	*w = Word{Hash: basis}
	return dst
}

// FNV-1a's, over characters instead of bytes.
const (
	basis = 0xcbf29ce484222325
	prime = 0x100000001b3
)

// Mix spreads what tells numbers apart over all bits: the finalizer of SplitMix64.
func Mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

type kind uint8

const (
	symbol kind = iota
	digit
	letter
	space
	alone  // a character that is a word
	beyond // ASCII
)

type character struct {
	lower rune
	kind  kind
}

// ascii has each byte.
var ascii = func() (table [256]character) {
	for c := range table {
		table[c] = classify(rune(c))
		if c >= utf8.RuneSelf {
			table[c].kind = beyond
		}
	}
	return table
}()

func classify(r rune) character {
	c := character{lower: unicode.ToLower(r)}
	switch {
	case r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
		c.kind = alone
	case unicode.IsLetter(r) || unicode.IsMark(r):
		c.kind = letter
	case unicode.IsDigit(r):
		c.kind = digit
	case unicode.IsSpace(r):
		c.kind = space
	}
	return c
}
