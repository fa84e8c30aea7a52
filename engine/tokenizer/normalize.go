package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/engine/tokenizer/regex"
	"github.com/ingot-llm/ingot/engine/tokenizer/unorm"
)

// normalizer rewrites a stretch of text before it is split. Normalizers are immutable.
type normalizer func(string) string

// inOrder applies normalizers one after another; none at all is nil.
func inOrder(ns []normalizer) normalizer {
	switch len(ns) {
	case 0:
		return nil
	case 1:
		return ns[0]
	}
	return func(s string) string {
		for _, n := range ns {
			s = n(s)
		}
		return s
	}
}

// prepend puts text before what is not empty.
func prepend(text string) normalizer {
	return func(s string) string {
		if s == "" {
			return s
		}
		return text + s
	}
}

func replaceAll(old, new string) normalizer {
	return func(s string) string { return strings.ReplaceAll(s, old, new) }
}

func replaceRegex(re *regex.Regex, new string) normalizer {
	return func(s string) string {
		var b strings.Builder
		steps := regex.Budget(len(s))
		for i := 0; i < len(s); {
			start, end := re.Next(s, i, &steps)
			b.WriteString(s[i:start])
			if end > start {
				b.WriteString(new)
			}
			i = end
		}
		return b.String()
	}
}

func strip(left, right bool) normalizer {
	return func(s string) string {
		if left {
			s = strings.TrimLeftFunc(s, unicode.IsSpace)
		}
		if right {
			s = strings.TrimRightFunc(s, unicode.IsSpace)
		}
		return s
	}
}

// lowercase maps rune by rune, with the one rune that has a longer lower case.
func lowercase(s string) string {
	if strings.ContainsRune(s, 'İ') {
		s = strings.ReplaceAll(s, "İ", "i\u0307")
	}
	return strings.ToLower(s)
}

// without drops the runes of a table: of unicode.Mn what NFD has split off letters.
func without(table *unicode.RangeTable) normalizer {
	return func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.Is(table, r) {
				return -1
			}
			return r
		}, s)
	}
}

var withoutAccents = without(unicode.Mn)

// nmt is SentencePiece's cleaning for translation: controls go, odd spaces become
// plain ones (the table is Hugging Face's Nmt normalizer).
func nmt(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 1 && r <= 8, r == 0xB, r >= 0xE && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
			return -1
		case r == 9, r == 0xA, r == 0xC, r == 0xD, r == 0x1680, r >= 0x200B && r <= 0x200F, r == 0x2028, r == 0x2029,
			r == 0x2581, r == 0xFEFF, r == 0xFFFD:
			return ' '
		}
		return r
	}, s)
}

// bertRules are BertNormalizer's four switches.
type bertRules struct{ clean, chinese, accents, lower bool }

func (k bertRules) normalize(s string) string {
	if k.clean {
		s = strings.Map(cleanRune, s)
	}
	if k.chinese {
		s = spaceChinese(s)
	}
	if k.accents {
		s = withoutAccents(unorm.NFD.String(s))
	}
	if k.lower {
		s = lowercase(s)
	}
	return s
}

// cleanRune drops controls and makes every space a plain one.
func cleanRune(r rune) rune {
	switch {
	case r == '\t', r == '\n', r == '\r', unicode.Is(unicode.White_Space, r):
		return ' '
	case r == 0, r == utf8.RuneError, unicode.In(r, unicode.Other):
		return -1
	}
	return r
}

func spaceChinese(s string) string {
	var b strings.Builder
	for _, r := range s {
		if isChinese(r) {
			b.WriteString(" " + string(r) + " ")
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isChinese holds for the CJK ideograph blocks that BERT sets apart. The block from
// U+2B920 is meant to start at U+2B820; the reference tokenizers agree on this typo.
func isChinese(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF ||
		r >= 0x2A700 && r <= 0x2B73F || r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF ||
		r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}
