package tokenizer

import "unicode/utf8"

// cut finds the next piece of s that a splitting pattern matches at or after i; where
// there is none it returns len(s), len(s). What lies between two matches is a piece
// too. Every cut in this file does what its regular expression (given above it) does,
// in time linear in s; tests hold them to package regex.
type cut func(s string, i int) (start, end int)

// gpt2Words is the pattern of GPT-2:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func gpt2Words(s string, i int) (int, int) {
	if i >= len(s) {
		return len(s), len(s)
	}
	if e := contraction(s, i, false); e > i {
		return i, e
	}
	t := classes()
	j := i
	if s[j] == ' ' {
		j++
	}
	_, c, w := t.at(s, j)
	switch {
	case c&letter != 0:
		return i, t.run(s, j+w, letter)
	case c&number != 0:
		return i, t.run(s, j+w, number)
	case w > 0 && c&space == 0:
		return i, t.runOther(s, j+w)
	}
	return i, t.blank(s, i)
}

// runOther returns the end of the run of [^\s\p{L}\p{N}] at s[i:].
func (t *classTable) runOther(s string, i int) int {
	for i < len(s) {
		_, c, w := t.at(s, i)
		if c&(space|letter|number) != 0 {
			break
		}
		i += w
	}
	return i
}

// blank returns the end of \s+(?!\S)|\s+ at s[i:], where a space stands: a run of
// several leaves its last rune to the word that follows.
func (t *classTable) blank(s string, i int) int {
	last := i
	for e := i; ; {
		_, c, w := t.at(s, e)
		if c&space == 0 {
			if w == 0 || last == i {
				return e
			}
			return last
		}
		last = e
		e += w
	}
}

// contraction returns the end of 's|'t|'re|'ve|'m|'ll|'d at s[i:], or i. With fold
// it is (?i:...), where Unicode folds the long s into s too.
func contraction(s string, i int, fold bool) int {
	if s[i] != '\'' || i+1 >= len(s) {
		return i
	}
	a, b := s[i+1], byte(0)
	if i+2 < len(s) {
		b = s[i+2]
	}
	if fold {
		if a == 0xC5 && b == 0xBF { // U+017F
			return i + 3
		}
		a, b = lowerASCII(a), lowerASCII(b)
	}
	switch {
	case a == 's', a == 't', a == 'm', a == 'd':
		return i + 2
	case (a == 'r' || a == 'v') && b == 'e', a == 'l' && b == 'l':
		return i + 3
	}
	return i
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// wordRules are the ways in which the family of patterns that began with cl100k
// differ among themselves:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
type wordRules struct {
	contractions bool   // the first alternative
	word         class  // what words are made of: letter, or letter|mark
	cased        bool   // words end where lower case turns to upper case, contractions inside
	digits       int    // longest run of numbers
	tail         string // what punctuation carries along: "\r\n", or "\r\n/"
}

// cut returns the pattern as a cut.
func (k wordRules) cut() cut {
	return func(s string, i int) (int, int) { return k.next(s, i) }
}

func (k *wordRules) next(s string, i int) (int, int) {
	if i >= len(s) {
		return len(s), len(s)
	}
	t := classes()
	if k.contractions {
		if e := contraction(s, i, true); e > i {
			return i, e
		}
	}
	r, c, w := t.at(s, i)
	if e := k.wordAt(t, s, i, r, c, w); e > i {
		return i, e
	}
	if c&number != 0 {
		return i, t.upTo(s, i, number, k.digits)
	}
	if e := k.punctuation(t, s, i, c, w); e > i {
		return i, e
	}
	return i, t.blankLines(s, i)
}

// wordAt returns the end of [^\r\n\p{L}\p{N}]?\p{L}+ at s[i:], or i.
func (k *wordRules) wordAt(t *classTable, s string, i int, r rune, c class, w int) int {
	if k.cased {
		return casedWord(t, s, i, r, c, w)
	}
	if c&k.word != 0 && c&letter != 0 {
		return t.run(s, i+w, k.word)
	}
	if c&number != 0 || r == '\r' || r == '\n' {
		return i
	}
	if e := t.run(s, i+w, k.word); e > i+w {
		return e
	}
	return t.run(s, i, k.word) // a lone mark, where marks make words
}

// punctuation returns the end of " ?[^\s\p{L}\p{N}]+[\r\n]*" at s[i:], or i. Where
// marks make words they are no punctuation.
func (k *wordRules) punctuation(t *classTable, s string, i int, c class, w int) int {
	j := i
	if s[i] == ' ' {
		j++
		_, c, w = t.at(s, j)
	}
	not := space | number | k.word
	if w == 0 || c&not != 0 {
		return i
	}
	for w > 0 && c&not == 0 {
		j += w
		_, c, w = t.at(s, j)
	}
	for j < len(s) && indexByte(k.tail, s[j]) {
		j++
	}
	return j
}

func indexByte(set string, b byte) bool {
	for i := range len(set) {
		if set[i] == b {
			return true
		}
	}
	return false
}

// upTo returns the end of at most n runes of the classes want at s[i:].
func (t *classTable) upTo(s string, i int, want class, n int) int {
	for range n {
		_, c, w := t.at(s, i)
		if c&want == 0 {
			break
		}
		i += w
	}
	return i
}

// blankLines returns the end of \s*[\r\n]+|\s+(?!\S)|\s+ at s[i:]. What is no space
// either (nothing matches) goes as one rune.
func (t *classTable) blankLines(s string, i int) int {
	newline, last, e := -1, i, i
	for {
		r, c, w := t.at(s, e)
		if c&space == 0 {
			switch {
			case e == i:
				return i + w
			case newline > 0:
				return newline
			case w == 0 || last == i:
				return e
			}
			return last
		}
		last = e
		e += w
		if r == '\r' || r == '\n' {
			newline = e
		}
	}
}

// casedWord returns the end of the two word alternatives of o200k at s[i:], or i:
//
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*
//
// The optional rune is tried first, then none (a mark may be either).
func casedWord(t *classTable, s string, i int, r rune, c class, w int) int {
	if c&(letter|number) == 0 && r != '\r' && r != '\n' {
		if e := casedRun(t, s, i+w, true); e > i+w {
			return e
		}
	}
	if e := casedRun(t, s, i, true); e > i {
		return e
	}
	if c&(letter|number) == 0 && r != '\r' && r != '\n' {
		if e := casedRun(t, s, i+w, false); e > i+w {
			return e
		}
	}
	return max(i, casedRun(t, s, i, false))
}

// casedRun returns the end of upper* lower+ (needLower) or upper+ lower* at s[i:],
// or i. Runes without case are both; the first run gives back what it must.
func casedRun(t *classTable, s string, i int, needLower bool) int {
	e, lastBoth := i, -1
	for e < len(s) {
		_, c, w := t.at(s, e)
		if c&(letter|mark) == 0 || c&lower != 0 {
			break
		}
		if c&upper == 0 {
			lastBoth = e + w
		}
		e += w
	}
	end := e
	for end < len(s) {
		_, c, w := t.at(s, end)
		if c&(letter|mark) == 0 || c&upper != 0 {
			break
		}
		end += w
	}
	switch {
	case !needLower:
		if e == i {
			return i
		}
		return end
	case end > e:
		return end
	case lastBoth > i:
		return lastBoth
	}
	return i
}

// suffixed is a cased word with the contraction that o200k lets it carry.
func suffixed(k wordRules) cut {
	return func(s string, i int) (int, int) {
		if i >= len(s) {
			return len(s), len(s)
		}
		t := classes()
		r, c, w := t.at(s, i)
		e := casedWord(t, s, i, r, c, w)
		if e == i {
			return k.next(s, i)
		}
		if e < len(s) {
			e = contraction(s, e, true)
		}
		return i, e
	}
}

// deepseekWords is the last pattern of DeepSeek-V3, where C is ASCII punctuation:
//
//	[C][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// What it leaves unmatched (numbers, controls) goes with the gap before the next match.
func deepseekWords(s string, i int) (int, int) {
	t := classes()
	for start := i; start < len(s); {
		r, c, w := t.at(s, start)
		if e := deepseekWord(t, s, start, r, c, w); e > start {
			return start, e
		}
		if c&space != 0 {
			return start, t.blankLines(s, start)
		}
		start += w
	}
	return len(s), len(s)
}

func deepseekWord(t *classTable, s string, i int, r rune, c class, w int) int {
	if r < utf8.RuneSelf && c&(punct|symbol) != 0 {
		e := i + 1
		for e < len(s) && 'a' <= s[e]|0x20 && s[e]|0x20 <= 'z' {
			e++
		}
		if e > i+1 {
			return e
		}
	}
	if c&letter != 0 {
		return t.run(s, i+w, letter|mark)
	}
	if c&(punct|symbol) == 0 && r != '\r' && r != '\n' {
		if e := t.run(s, i+w, letter|mark); e > i+w {
			return e
		}
		if c&mark != 0 {
			return i + w
		}
	}
	j := i
	if r == ' ' {
		j++
	}
	e := t.run(s, j, punct|symbol)
	if e == j {
		return i
	}
	for e < len(s) && (s[e] == '\r' || s[e] == '\n') {
		e++
	}
	return e
}
