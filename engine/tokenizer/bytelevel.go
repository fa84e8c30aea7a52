package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// GPT-2 writes the bytes of a token as printable runes: the 188 printable ones of
// Latin-1 as themselves, the others, in order, as U+0100 and on.
var (
	runeOfByte [256]rune
	byteOfRune [0x144]int16 // -1 where the rune means no byte
)

func init() {
	for i := range byteOfRune {
		byteOfRune[i] = -1
	}
	next := rune(256)
	for b := range runeOfByte {
		r := rune(b)
		if !(r >= '!' && r <= '~' || r >= 0xA1 && r <= 0xAC || r >= 0xAE) {
			r = next
			next++
		}
		runeOfByte[b] = r
		byteOfRune[r] = int16(b)
	}
}

// bytesOfRunes undoes GPT-2's writing of bytes; ok is false where a rune means none.
func bytesOfRunes(text string) (string, bool) {
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range text {
		if r >= rune(len(byteOfRune)) || byteOfRune[r] < 0 {
			return "", false
		}
		b.WriteByte(byte(byteOfRune[r]))
	}
	return b.String(), true
}

// ByteLevelText writes the bytes of a token as byte-level vocabularies do, each as a rune
// that can be printed (GPT-2).
func ByteLevelText(raw string) string {
	b := make([]byte, 0, 2*len(raw))
	for i := range len(raw) {
		b = utf8.AppendRune(b, runeOfByte[raw[i]])
	}
	return string(b)
}
