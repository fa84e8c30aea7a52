package server

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxItemBytes bounds one string of a Strings field.
const maxItemBytes = 1024

// check holds a scanned value that is not null against its field's row.
func (f *Field) check(v []byte) *Error {
	if f.Use == Refused {
		return f.checkNoOp(v)
	}
	switch f.Kind {
	case Integer:
		return f.checkInteger(v)
	case Number:
		return f.checkNumber(v)
	case Boolean:
		if v[0] != 't' && v[0] != 'f' {
			return f.wrongType("true or false")
		}
	case String:
		return f.checkString(v)
	case Strings:
		return f.checkStrings(v)
	case Tokens:
		return f.checkTokens(v)
	case Prompt:
		return f.checkPrompt(v)
	case Array:
		return f.checkArray(v)
	case Object:
		return f.checkObject(v)
	case BiasTable:
		return f.checkBias(v)
	}
	return nil
}

func (f *Field) wrongType(want string) *Error {
	return invalid(f.Name, "invalid_type", "%s must be %s", f.Name, want)
}

// outside says that a value or size is not from Min to Max.
func (f *Field) outside(what, got string) *Error {
	return invalid(f.Name, "invalid_value", "%s must be from %s to %s%s, but is %s",
		f.Name, formatLimit(f.Min), formatLimit(f.Max), what, got)
}

func formatLimit(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func (f *Field) checkNoOp(v []byte) *Error {
	if slices.Contains(f.NoOp, string(compact(v))) {
		return nil
	}
	only := ""
	if len(f.NoOp) > 0 {
		only = "; the only values accepted are null, " + strings.Join(f.NoOp, ", ")
	}
	return invalid(f.Name, "unsupported_parameter", "%s is not supported%s. %s", f.Name, only, f.Doc)
}

// compact drops the white space outside strings. The noOp values are short; a long
// value is none of them, whatever its spaces.
func compact(v []byte) []byte {
	const longest = 256
	if len(v) > longest || bytes.IndexByte(v, '\\') >= 0 {
		return v
	}
	out := make([]byte, 0, len(v))
	quoted := false
	for _, c := range v {
		if c == '"' {
			quoted = !quoted
		}
		if quoted || !isSpace(c) {
			out = append(out, c)
		}
	}
	return out
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// parseInt reads an integer, also one written as 1.0 or 1e2, as some clients do.
func parseInt(v []byte) (int64, bool) {
	if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return i, true
	}
	x, err := strconv.ParseFloat(string(v), 64)
	if err != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
		return 0, false
	}
	return int64(x), true
}

func isNumber(v []byte) bool { return v[0] == '-' || v[0] >= '0' && v[0] <= '9' }

func (f *Field) checkInteger(v []byte) *Error {
	if !isNumber(v) {
		return f.wrongType("an integer")
	}
	i, ok := parseInt(v)
	if !ok {
		return f.wrongType("an integer of 64 bits, but is " + clip(v))
	}
	if float64(i) < f.Min || float64(i) > f.Max {
		return f.outside("", clip(v))
	}
	return nil
}

func (f *Field) checkNumber(v []byte) *Error {
	if !isNumber(v) {
		return f.wrongType("a number")
	}
	if x := mustFloat(v); x < f.Min || x > f.Max {
		return f.outside("", clip(v))
	}
	return nil
}

func (f *Field) checkString(v []byte) *Error {
	if v[0] != '"' {
		return f.wrongType("a string")
	}
	s := unquote(v)
	if len(f.Enum) > 0 && !slices.Contains(f.Enum, s) {
		return invalid(f.Name, "invalid_value", "%s must be one of %s, but is %s", f.Name, strings.Join(f.Enum, ", "), clip(v))
	}
	if n := float64(len(s)); n < f.Min || n > f.Max {
		return f.outside(" bytes long", strconv.Itoa(len(s)))
	}
	return nil
}

func (f *Field) checkStrings(v []byte) *Error {
	items := [][]byte{v}
	switch v[0] {
	case '"':
	case '[':
		items = scanElements(v)
	default:
		return f.wrongType("a string or an array of strings")
	}
	if n := float64(len(items)); n < f.Min || n > f.Max {
		return f.outside(" strings", strconv.Itoa(len(items)))
	}
	for _, item := range items {
		if item[0] != '"' {
			return f.wrongType("a string or an array of strings")
		}
		if n := len(unquote(item)); n == 0 || n > maxItemBytes {
			return invalid(f.Name, "invalid_value", "each string of %s must have from 1 to %d bytes, but one has %d", f.Name, maxItemBytes, n)
		}
	}
	return nil
}

func (f *Field) checkTokens(v []byte) *Error {
	if v[0] != '[' {
		return f.wrongType("an array of token ids")
	}
	items := scanElements(v)
	if n := float64(len(items)); n < f.Min || n > f.Max {
		return f.outside(" token ids", strconv.Itoa(len(items)))
	}
	return f.checkIDs(items)
}

func (f *Field) checkIDs(items [][]byte) *Error {
	for _, item := range items {
		if id, ok := parseInt(item); !ok || id < 0 || id > maxInt32 {
			return invalid(f.Name, "invalid_type", "%s has %s where a token id must stand", f.Name, clip(item))
		}
	}
	return nil
}

func (f *Field) checkPrompt(v []byte) *Error {
	const want = "a string, an array of strings, an array of token ids, or an array of arrays of token ids"
	if v[0] == '"' {
		return nil
	}
	if v[0] != '[' {
		return f.wrongType(want)
	}
	items := scanElements(v)
	if len(items) == 0 {
		return invalid(f.Name, "invalid_value", "%s must not be empty", f.Name)
	}
	first := items[0][0]
	if isNumber(items[0]) {
		if len(items) > maxTokenList {
			return invalid(f.Name, "invalid_value", "%s has more than %d token ids", f.Name, maxTokenList)
		}
		return f.checkIDs(items)
	}
	if len(items) > maxPrompts {
		return invalid(f.Name, "invalid_value", "%s must have at most %d items, but has %d", f.Name, maxPrompts, len(items))
	}
	for _, item := range items {
		if item[0] != first || first != '"' && first != '[' {
			return f.wrongType(want)
		}
		if first == '[' {
			if err := f.checkIDs(scanElements(item)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Field) checkArray(v []byte) *Error {
	if v[0] != '[' {
		return f.wrongType("an array of objects")
	}
	items := scanElements(v)
	if n := float64(len(items)); n < f.Min || n > f.Max {
		return f.outside(" items", strconv.Itoa(len(items)))
	}
	for i, item := range items {
		if item[0] != '{' {
			at := f.Name + "[" + strconv.Itoa(i) + "]"
			return invalid(at, "invalid_type", "%s must be an object", at)
		}
	}
	return nil
}

func (f *Field) checkObject(v []byte) *Error {
	if v[0] != '{' {
		return f.wrongType("an object")
	}
	if n := len(scanMembers(v)); float64(n) > f.Max {
		return f.outside(" members", strconv.Itoa(n))
	}
	return nil
}

func (f *Field) checkBias(v []byte) *Error {
	if err := f.checkObject(v); err != nil {
		return err
	}
	for _, m := range scanMembers(v) {
		id, err := strconv.ParseInt(m.name, 10, 32)
		if err != nil || id < 0 {
			return invalid(f.Name, "invalid_value", "%s has the name %s where a token id must stand", f.Name, clip([]byte(m.name)))
		}
		if !isNumber(m.value) || math.Abs(mustFloat(m.value)) > 100 {
			return invalid(f.Name, "invalid_value", "%s must be from -100 to 100 for each token, but is %s for %d", f.Name, clip(m.value), id)
		}
	}
	return nil
}

// mustFloat reads a scanned number.
func mustFloat(v []byte) float64 {
	x, err := strconv.ParseFloat(string(v), 64)
	if err != nil {
		panic("BUG: a scanned number does not parse: " + err.Error())
	}
	return x
}

// clip shortens a client's value for a message.
func clip(v []byte) string {
	const longest = 40
	if len(v) <= longest {
		return string(v)
	}
	cut := longest
	for cut > 0 && !utf8.RuneStart(v[cut]) {
		cut--
	}
	return string(v[:cut]) + "..."
}
