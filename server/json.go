package server

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/bytedance/sonic"
)

const typeJSON = "application/json"

// strict is the JSON codec: strings are valid UTF-8 and own their bytes. sonic's default
// accepts raw control characters and invalid UTF-8.
var strict = sonic.Config{ValidateString: true, CopyString: true}.Froze()

// appendString writes s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[from:i]...), `\ufffd`...)
				from = i + 1
			}
			i += n
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = appendEscape(append(dst, s[from:i]...), c)
			from = i + 1
		}
		i++
	}
	return append(append(dst, s[from:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// appendFloat writes a log-probability with the digits that tell float32 values apart.
// JSON has no infinities: -inf, a token that cannot be drawn, is written as -9999, as
// vLLM and OpenAI do.
func appendFloat(dst []byte, f float32) []byte {
	if f < -9999 || math.IsNaN(float64(f)) {
		f = -9999
	}
	return strconv.AppendFloat(dst, float64(f), 'g', -1, 32)
}

func appendInts(dst []byte, ids []int32) []byte {
	dst = append(dst, '[')
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(id), 10)
	}
	return append(dst, ']')
}
