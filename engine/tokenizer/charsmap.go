package tokenizer

import (
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"
)

// charsmap is SentencePiece's precompiled normalization: the longest prefix that a
// darts-clone double-array trie knows is replaced by a text.
//
//	+--------------+------------------+-----------------------------+
//	| uint32 size  | size bytes: trie | texts, each ended by a zero |
//	+--------------+------------------+-----------------------------+
//
// A trie unit is a little-endian uint32: offset in bits 10-30 (times 256 with bit 9),
// bit 8 tells of a leaf below, bits 0-7 and 31 are the label. A leaf's unit holds, in
// 31 bits, where its text starts.
type charsmap struct {
	units []uint32
	texts string
}

var errCharsmap = errors.New("the precompiled character map is damaged")

// newCharsmap returns nil for empty data: nothing to replace.
func newCharsmap(data []byte) (*charsmap, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if len(data) < 4 {
		return nil, errCharsmap
	}
	size := int64(binary.LittleEndian.Uint32(data))
	if size%4 != 0 || size > int64(len(data)-4) || size == 0 {
		return nil, errCharsmap
	}
	m := &charsmap{units: make([]uint32, size/4), texts: string(data[4+size:])}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(data[4+4*i:])
	}
	return m, nil
}

func offsetOf(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

// prefix returns the replacement of the longest known prefix of s and that prefix's
// length, 0 if there is none.
func (m *charsmap) prefix(s string) (text string, n int) {
	node := offsetOf(m.units[0])
	for i := range len(s) {
		node ^= uint32(s[i])
		if s[i] == 0 || int(node) >= len(m.units) {
			break
		}
		unit := m.units[node]
		if unit&(1<<31|0xff) != uint32(s[i]) {
			break
		}
		node ^= offsetOf(unit)
		if unit>>8&1 != 0 && int(node) < len(m.units) {
			if t, ok := m.text(m.units[node] &^ (1 << 31)); ok {
				text, n = t, i+1
			}
		}
	}
	return text, n
}

func (m *charsmap) text(at uint32) (string, bool) {
	if int64(at) >= int64(len(m.texts)) {
		return "", false
	}
	text, _, ok := strings.Cut(m.texts[at:], "\x00")
	return text, ok
}

// step normalizes the start of s: what it becomes and how many bytes of s that was.
// An invalid byte becomes U+FFFD.
func (m *charsmap) step(s string) (text string, n int) {
	if m != nil {
		if text, n = m.prefix(s); n > 0 {
			return text, n
		}
	}
	if r, w := utf8.DecodeRuneInString(s); r != utf8.RuneError || w > 1 {
		return s[:w], w
	}
	return "\uFFFD", 1
}

// normalize is Hugging Face's Precompiled normalizer: a whole grapheme if the map
// knows it, else rune by rune. Graphemes are approximated by a rune and the marks
// that follow it, which is all that SentencePiece's own maps hold.
func (m *charsmap) normalize(s string) string {
	var b strings.Builder
	t := classes()
	for i := 0; i < len(s); {
		_, _, w := t.at(s, i)
		end := t.run(s, i+w, mark)
		if end-i < 6 {
			if text, n := m.prefix(s[i:end]); n > 0 {
				b.WriteString(text)
				i = end
				continue
			}
		}
		for i < end {
			_, w := utf8.DecodeRuneInString(s[i:])
			if text, n := m.prefix(s[i : i+w]); n > 0 {
				b.WriteString(text)
			} else {
				b.WriteString(s[i : i+w])
			}
			i += w
		}
	}
	return b.String()
}

// spmRules are the switches of SentencePiece's normalizer.
type spmRules struct {
	chars     *charsmap
	keep      *trie  // user-defined tokens, which pass unchanged; nil for none
	dummy     bool   // a space before the text (after it, with suffix)
	squeeze   bool   // one space for several, none at the ends
	suffix    bool   // spaces belong to the word before them
	spaceText string // what a space becomes: "\u2581", or " "
}

// normalize does what SentencePiece's Normalizer::Normalize does.
func (k *spmRules) normalize(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/2 + 3)
	text, n := "", 0
	if k.squeeze {
		for s != "" {
			if text, n = k.step(s); text != " " {
				break
			}
			s = s[n:]
		}
	}
	if s == "" {
		return ""
	}
	if k.dummy && !k.suffix {
		b.WriteString(k.spaceText)
	}
	wasSpace := k.squeeze
	for s != "" {
		text, n = k.step(s)
		s = s[n:]
		for wasSpace && strings.HasPrefix(text, " ") {
			text = text[1:]
		}
		if text != "" {
			b.WriteString(strings.ReplaceAll(text, " ", k.spaceText))
			wasSpace = k.squeeze && strings.HasSuffix(text, " ")
		}
	}
	out := b.String()
	if k.squeeze {
		for strings.HasSuffix(out, k.spaceText) {
			out = strings.TrimSuffix(out, k.spaceText)
		}
	}
	if k.dummy && k.suffix {
		out += k.spaceText
	}
	return out
}

func (k *spmRules) step(s string) (string, int) {
	if k.keep != nil {
		if _, n := k.keep.longest(s); n > 0 {
			return s[:n], n
		}
	}
	return k.chars.step(s)
}
