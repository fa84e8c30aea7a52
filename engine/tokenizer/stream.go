package tokenizer

import (
	"bytes"
	"unicode/utf8"
)

// leadRule says which spaces at the start of decoded text were put there by the
// encoder and go again.
type leadRule uint8

const (
	leadKeep  leadRule = iota
	leadOne            // one space, whatever the first piece
	leadPiece          // all spaces that start the first piece
	leadEach           // one space from each piece until one leaves text
)

// Stream decodes ids one at a time into text of whole runes; the concatenation of
// what it gives equals Decode of all ids. It serves one goroutine. The zero value is
// not usable: Tokenizer.Stream makes one.
type Stream struct {
	t       *Tokenizer
	skip    bool
	started bool // text has begun: leading spaces are settled
	n       int
	part    [utf8.UTFMax]byte // the n first bytes of a rune whose rest is to come
}

// Stream returns a decoder at the start of a text. With skipSpecial control tokens
// give nothing.
func (t *Tokenizer) Stream(skipSpecial bool) Stream { return Stream{t: t, skip: skipSpecial} }

// Continue makes s go on in the middle of a text, so that a leading space of the next
// id stays: for what a model adds to a prompt.
func (s *Stream) Continue() { s.started = true }

// Push takes the next id and returns the text that is complete with it.
func (s *Stream) Push(id int32) string { return string(s.Append(nil, id)) }

// Append is Push appending to dst, without allocating beyond it.
func (s *Stream) Append(dst []byte, id int32) []byte {
	if !s.t.valid(id) || s.skip && s.t.hidden(id) {
		return dst
	}
	piece := s.t.vocab.piece(id)
	if !s.started {
		piece = s.trim(piece, s.t.vocab.kind[id])
	}
	return s.feed(dst, piece)
}

// Flush appends U+FFFD for a rune that was never completed, and starts anew.
func (s *Stream) Flush(dst []byte) []byte {
	if s.n > 0 {
		dst = append(dst, "\uFFFD"...)
	}
	s.n, s.started = 0, false
	return dst
}

// trim takes the encoder's spaces off the first pieces.
func (s *Stream) trim(piece []byte, k kind) []byte {
	switch s.t.lead {
	case leadOne:
		piece = bytes.TrimPrefix(piece, []byte(" "))
		s.started = true
	case leadPiece:
		piece = bytes.TrimLeft(piece, " ")
		s.started = true
	case leadEach:
		if k == normal || k == unused {
			piece = bytes.TrimPrefix(piece, []byte(" "))
		}
		s.started = len(piece) > 0 && k != control
	default:
		s.started = true
	}
	return piece
}

// feed appends the whole runes of what is pending and b.
func (s *Stream) feed(dst, b []byte) []byte {
	for len(b) > 0 {
		if s.n == 0 {
			whole := wholeRunes(b)
			dst = append(dst, b[:whole]...)
			if b = b[whole:]; len(b) == 0 {
				break
			}
		}
		s.part[s.n] = b[0]
		s.n++
		part := s.part[:s.n]
		if !utf8.FullRune(part) {
			b = b[1:]
			continue
		}
		if r, w := utf8.DecodeRune(part); r != utf8.RuneError || w > 1 {
			dst = append(dst, part...)
			b = b[1:]
		} else {
			dst = append(dst, "\uFFFD"...)
			if s.n == 1 {
				b = b[1:]
			} // else b[0] did not fit: the bytes before it were the maximal part
		}
		s.n = 0
	}
	return dst
}

// wholeRunes returns the length of the valid UTF-8 that starts b.
func wholeRunes(b []byte) int {
	i := 0
	for i < len(b) {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, w := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && w <= 1 {
			break
		}
		i += w
	}
	return i
}
