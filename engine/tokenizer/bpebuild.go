package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// bpeConfig says how a vocabulary's texts become a bpe.
type bpeConfig struct {
	byteLevel    bool   // texts are bytes in GPT-2's writing
	prefix       string // of tokens that continue a word ("##"), as Hugging Face's BPE has it
	suffix       string // of tokens that end a word ("</w>")
	byteFallback bool   // unknown runes spell out as <0xAB> tokens
	wholeFirst   bool   // a word that is a token is that token, whatever the merges (ignore_merges)
	unk          int32
	fuseUnk      bool
}

// modelKinds are the kinds of tokens that plain text can give; control, unknown and
// byte tokens never come out of a merge, whatever they are spelled like.
func (k kind) inModel() bool { return k == normal || k == userDefined || k == unused }

func newBPE(v *vocab, c bpeConfig) *bpe {
	m := &bpe{byteUnits: c.byteLevel, tokens: int32(v.len()), unk: c.unk, fuseUnk: c.fuseUnk,
		ofRune: map[string]int32{}, pairs: newPairTable(2 * v.len())}
	for b := range m.ofByte {
		m.ofByte[b], m.fallback[b] = -1, -1
	}
	if c.byteFallback {
		m.fallback = v.byteIDs()
	}
	if c.suffix != "" {
		m.ends = map[string]int32{}
	}
	for i, text := range v.text {
		if v.kind[i].inModel() {
			m.addUnit(int32(i), text, c)
		}
	}
	if c.byteLevel {
		m.fallback = m.ofByte
	}
	return m
}

// addUnit notes a token that is a single unit.
func (m *bpe) addUnit(id int32, text string, c bpeConfig) {
	if c.byteLevel {
		if raw, ok := bytesOfRunes(text); ok {
			text = raw
		}
	}
	body, ends := strings.CutSuffix(text, c.suffix)
	single := len(body) == 1 || !c.byteLevel && utf8.RuneCountInString(body) == 1 && utf8.ValidString(body)
	switch {
	case !single:
	case c.suffix != "" && ends:
		m.ends[body] = id
	case c.suffix != "":
		m.setUnit(text, id)
	default:
		m.setUnit(body, id)
	}
}

func (m *bpe) setUnit(text string, id int32) {
	if len(text) == 1 {
		if m.ofByte[text[0]] < 0 {
			m.ofByte[text[0]] = id
		}
	} else if _, ok := m.ofRune[text]; !ok {
		m.ofRune[text] = id
	}
}

// mergePair is one line of a merge list.
type mergePair struct{ left, right string }

// addMerges takes a merge list, first merge first. Symbols that the vocabulary lacks
// become virtual; a merge into a token that text must not give is left out.
func (m *bpe) addMerges(v *vocab, merges []mergePair, c bpeConfig) error {
	if len(merges) > maxMerges {
		return fmt.Errorf("the tokenizer has %d merges, more than %d", len(merges), maxMerges)
	}
	virtual := map[string]int32{}
	symbol := func(text string) int32 {
		if id := v.id(text); id >= 0 {
			return id
		}
		id, ok := virtual[text]
		if !ok {
			raw := text
			if c.byteLevel {
				raw, _ = bytesOfRunes(text)
			}
			id = m.addVirtual(raw)
			virtual[text] = id
		}
		return id
	}
	for rank, p := range merges {
		right := strings.TrimPrefix(p.right, c.prefix)
		if id := v.id(p.left + right); id >= 0 && !v.kind[id].inModel() {
			continue
		}
		m.pairs.set(symbol(p.left), symbol(p.right), uint32(rank), symbol(p.left+right))
	}
	return nil
}

// addRanked takes a vocabulary in which every token's own rank says when it is made,
// from whatever two neighbours: tiktoken's and SentencePiece's way. raw gives a
// token's text as units; ranks are per id, lower first, noRank for tokens that
// nothing merges into.
func (m *bpe) addRanked(v *vocab, raw func(id int32) string, ranks []uint32) {
	byText := make(map[string]int32, v.len())
	for i := range v.text {
		if v.kind[i].inModel() {
			if _, ok := byText[raw(int32(i))]; !ok {
				byText[raw(int32(i))] = int32(i)
			}
		}
	}
	half := func(s string) int32 {
		if id, ok := byText[s]; ok {
			return id
		}
		if _, w := utf8.DecodeRuneInString(s); m.byteUnits || w != len(s) {
			return -1
		}
		id := m.addVirtual(s)
		byText[s] = id
		m.setUnit(s, id)
		return id
	}
	for i := range v.text {
		s := raw(int32(i))
		if ranks[i] == noRank || byText[s] != int32(i) {
			continue
		}
		m.addSplits(s, ranks[i], int32(i), half)
	}
}

// addSplits adds every way to make s out of two symbols.
func (m *bpe) addSplits(s string, rank uint32, id int32, half func(string) int32) {
	for at := 1; at < len(s); at++ {
		if !m.byteUnits && !utf8.RuneStart(s[at]) {
			continue
		}
		if l := half(s[:at]); l >= 0 {
			if r := half(s[at:]); r >= 0 {
				m.pairs.set(l, r, rank, id)
			}
		}
	}
}

// scoreRanks orders tokens by falling score; equal scores share a rank.
func scoreRanks(scores []float32) []uint32 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	ranks := make([]uint32, len(scores))
	for i, id := range order {
		if i > 0 && scores[id] == scores[order[i-1]] {
			ranks[id] = ranks[order[i-1]]
		} else {
			ranks[id] = uint32(i)
		}
	}
	return ranks
}

// finish fills the table of whole words: every token that its own text encodes to
// (with wholeFirst, every token).
func (m *bpe) finish(v *vocab, raw func(id int32) string, wholeFirst bool) {
	m.whole = newWordTable(v.len())
	if m.ends != nil {
		return // a token's text tells nothing about the word that gives it
	}
	var s symbols
	var ids []int32
	for i := range v.text {
		if !v.kind[i].inModel() {
			continue
		}
		word := raw(int32(i))
		if !wholeFirst {
			if ids = m.merge(ids[:0], word, &s); len(ids) != 1 || ids[0] != int32(i) {
				continue
			}
		}
		m.whole.set(word, int32(i))
	}
}
