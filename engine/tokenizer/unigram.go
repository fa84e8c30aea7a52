package tokenizer

import (
	"math"
	"slices"
	"unicode/utf8"
)

// unigram finds the segmentation of a text into tokens with the greatest sum of
// scores (log-probabilities), by Viterbi's algorithm over a trie.
type unigram struct {
	pieces   *trie
	score    []float64
	unk      int32
	unkScore float64
	fallback [256]int32 // byte tokens in place of unknown runes, all -1 if there are none
	narrow   bool       // sums are kept as float32 (but compared before), as in SentencePiece itself
}

// unkPenalty is how much worse than the worst token an unknown rune scores
// (SentencePiece's kUnkPenalty).
const unkPenalty = 10

// newUnigram takes one score per token.
func newUnigram(v *vocab, scores []float64, unk int32, byteFallback bool) *unigram {
	m := &unigram{pieces: newTrie(), score: scores, unk: unk}
	worst := math.Inf(1)
	for i, text := range v.text {
		if v.kind[i].inModel() && int32(i) != unk {
			m.pieces.add(text, int32(i))
		}
		if v.kind[i] == normal {
			worst = min(worst, scores[i])
		}
	}
	if math.IsInf(worst, 0) {
		worst = 0
	}
	m.unkScore = worst - unkPenalty
	for b := range m.fallback {
		m.fallback[b] = -1
	}
	if byteFallback {
		m.fallback = v.byteIDs()
	}
	return m
}

// lattice is the working state: the best way to reach each byte of the text.
type lattice struct {
	sum  []float64
	from []int32
	id   []int32
	path []int32
}

func (m *unigram) encode(dst []int32, text string, sc *scratch) []int32 {
	l := &sc.lat
	n := len(text)
	l.sum, l.from, l.id = resize(l.sum, n+1), resize(l.from, n+1), resize(l.id, n+1)
	for i := range l.sum {
		l.sum[i], l.from[i] = math.Inf(-1), -1
	}
	l.sum[0] = 0
	for i := 0; i < n; {
		_, w := utf8.DecodeRuneInString(text[i:])
		m.extend(l, text, i, w)
		i += w
	}
	l.path = l.path[:0]
	for at := n; at > 0; at = int(l.from[at]) {
		l.path = append(l.path, int32(at))
	}
	slices.Reverse(l.path)
	return m.emit(dst, text, l)
}

// extend tries all tokens that start at i, where a rune of w bytes stands.
func (m *unigram) extend(l *lattice, text string, i, w int) {
	whole := false
	node := int32(0)
	for j := i; j < len(text); {
		if node = m.pieces.step(node, text[j]); node == 0 {
			break
		}
		j++
		if id := m.pieces.value[node]; id >= 0 {
			m.reach(l, i, j, id, m.score[id])
			whole = whole || j == i+w
		}
	}
	if !whole {
		m.reach(l, i, i+w, m.unk, m.unkScore)
	}
}

// reach notes a way to j if it is better than what is known. SentencePiece's versions
// differ in exact ties of rounded sums: 0.1.97, followed here, compares before it
// rounds; 0.2 rounds first.
func (m *unigram) reach(l *lattice, i, j int, id int32, score float64) {
	sum := l.sum[i] + score
	if sum <= l.sum[j] && l.from[j] >= 0 {
		return
	}
	if m.narrow {
		sum = float64(float32(sum))
	}
	l.sum[j], l.from[j], l.id[j] = sum, int32(i), id
}

// emit appends the path's tokens; a row of unknown runes is one.
func (m *unigram) emit(dst []int32, text string, l *lattice) []int32 {
	start, wasUnk := 0, false
	for _, end := range l.path {
		id := l.id[end]
		switch {
		case id != m.unk:
			dst = append(dst, id)
		case m.spellable(text[start:end]):
			for _, b := range []byte(text[start:end]) {
				dst = append(dst, m.fallback[b])
			}
		case !wasUnk && id >= 0:
			dst = append(dst, id)
		}
		wasUnk = id == m.unk
		start = int(end)
	}
	return dst
}

func (m *unigram) spellable(s string) bool {
	for i := range len(s) {
		if m.fallback[s[i]] < 0 {
			return false
		}
	}
	return true
}
