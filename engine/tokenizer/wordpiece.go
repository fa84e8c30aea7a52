package tokenizer

import "unicode/utf8"

// wordPiece cuts a word from the left into the longest tokens there are: one that
// starts a word, then ones that continue it. A word that does not come out even, or
// is longer than maxRunes, is unknown as a whole.
type wordPiece struct {
	starts, continues *trie
	unk               int32
	maxRunes          int
}

func (m *wordPiece) encode(dst []int32, word string, _ *scratch) []int32 {
	mark := len(dst)
	if utf8.RuneCountInString(word) > m.maxRunes {
		return append(dst, m.unk)
	}
	t := m.starts
	for i := 0; i < len(word); t = m.continues {
		id, n := t.longest(word[i:])
		if id < 0 {
			return append(dst[:mark], m.unk)
		}
		dst = append(dst, id)
		i += n
	}
	return dst
}
