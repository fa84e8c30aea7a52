package eval

import (
	"strings"
	"unicode/utf8"
)

// cut returns the length of the first part of a text, at most most bytes: up to the last
// line end in that, else the last space, else the last whole rune.
func cut(text string, most int) int {
	if len(text) <= most {
		return len(text)
	}
	for _, end := range []string{"\n", " "} {
		if i := strings.LastIndex(text[:most], end); i > 0 {
			return i + 1
		}
	}
	for n := most; n > 0; n-- {
		if utf8.RuneStart(text[n]) {
			return n
		}
	}
	return most
}
