package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is cut out of the text before the model sees it.
type addedToken struct {
	id             int32
	text           string
	control        bool // only trusted text may yield it
	lstrip, rstrip bool // it swallows the spaces on that side
	singleWord     bool // only between non-word runes
}

// addedSet finds added tokens, the leftmost and there the longest. The zero value
// finds nothing.
type addedSet struct {
	list  []addedToken
	trie  *trie // of indexes into list
	first [256]bool
}

func (a *addedSet) add(tok addedToken) {
	if tok.text == "" {
		return
	}
	if a.trie == nil {
		a.trie = newTrie()
	}
	a.trie.add(tok.text, int32(len(a.list)))
	a.first[tok.text[0]] = true
	a.list = append(a.list, tok)
}

// trust says where in a text control tokens are read as such.
type trust struct {
	all   bool
	spans []extent // sorted, apart from each other; used if not all
}

type extent struct{ lo, hi int }

// covers reports whether [lo, hi) lies in one trusted span. Spans that end before lo
// are dropped: callers ask from left to right.
func (t *trust) covers(lo, hi int) bool {
	if t.all {
		return true
	}
	for len(t.spans) > 0 && t.spans[0].hi <= lo {
		t.spans = t.spans[1:]
	}
	return len(t.spans) > 0 && t.spans[0].lo <= lo && hi <= t.spans[0].hi
}

// find returns the next added token in s from i on, and where it and the spaces that
// it swallows lie; nil if there is none.
func (a *addedSet) find(s string, i int, tr *trust) (tok *addedToken, start, end int) {
	if a.trie == nil {
		return nil, len(s), len(s)
	}
	for at := i; at < len(s); at++ {
		if !a.first[s[at]] {
			continue
		}
		if tok := a.at(s, at, tr); tok != nil {
			start, end = at, at+len(tok.text)
			if tok.lstrip {
				start = i + len(strings.TrimRightFunc(s[i:at], unicode.IsSpace))
			}
			if tok.rstrip {
				end = len(s) - len(strings.TrimLeftFunc(s[end:], unicode.IsSpace))
			}
			return tok, start, end
		}
	}
	return nil, len(s), len(s)
}

// at returns the longest token allowed at s[i:], or nil.
func (a *addedSet) at(s string, i int, tr *trust) *addedToken {
	var best *addedToken
	for node, j := int32(0), i; j < len(s); {
		if node = a.trie.step(node, s[j]); node == 0 {
			break
		}
		j++
		if v := a.trie.value[node]; v >= 0 {
			tok := &a.list[v]
			if (!tok.control || tr.covers(i, j)) && (!tok.singleWord || alone(s, i, j)) {
				best = tok
			}
		}
	}
	return best
}

// alone reports whether no word rune touches s[i:j].
func alone(s string, i, j int) bool {
	before, w := utf8.DecodeLastRuneInString(s[:i])
	after, v := utf8.DecodeRuneInString(s[j:])
	return (w == 0 || !wordRune(before)) && (v == 0 || !wordRune(after))
}

// wordRune is \w of Unicode's regular expressions (UTS #18): alphabetic runes, marks,
// digits, connecting punctuation and the two joiners.
func wordRune(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
