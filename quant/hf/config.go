package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// config is a JSON object such as config.json holds. Its reading methods keep the
// first error, which names the field; a null field counts as absent.
type config struct {
	file   string
	fields map[string]any
	err    error
}

// maxJSON bounds the small files of a model directory (a tokenizer.json of a large
// vocabulary has some 30 MB).
const maxJSON = 256 << 20

// readConfig reads a JSON object. An absent file gives an empty config and
// os.ErrNotExist.
func readConfig(path string) (*config, error) {
	c := &config{file: filepath.Base(path)}
	raw, err := readText(path)
	if err != nil {
		return c, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&c.fields); err != nil {
		return c, fmt.Errorf("cannot read %q: %w", path, err)
	}
	return c, nil
}

// readOptional is readConfig for a file that may be absent.
func readOptional(path string) (*config, error) {
	c, err := readConfig(path)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	return c, err
}

func readText(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxJSON {
		return nil, fmt.Errorf("cannot read %q: its %d bytes are above the limit of %d", path, info.Size(), maxJSON)
	}
	return os.ReadFile(path)
}

func (c *config) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %w", c.file, fmt.Errorf(format, args...))
	}
}

func (c *config) has(field string) bool { return c.fields[field] != nil }

// sub returns the object under field, an empty one if it is absent. Errors go to c.
func (c *config) sub(field string) *config {
	v := c.fields[field]
	m, ok := v.(map[string]any)
	if v != nil && !ok {
		c.fail("%s is no object", field)
	}
	return &config{file: c.file + " " + field, fields: m}
}

// number returns the number under field, or def if it is absent.
func (c *config) number(field string, def float64) float64 {
	v := c.fields[field]
	if v == nil {
		return def
	}
	n, ok := v.(json.Number)
	f, err := n.Float64()
	if !ok || err != nil {
		c.fail("%s is %v, want a number", field, v)
		return def
	}
	return f
}

// count returns the whole number under field, from 0 to 2^31-1, or def if it is
// absent.
func (c *config) count(field string, def int) int {
	v := c.fields[field]
	if v == nil {
		return def
	}
	f := c.number(field, -1)
	n := int(f)
	if float64(n) != f || n < 0 || n > 1<<31-1 {
		c.fail("%s is %v, want a whole number from 0 to 2147483647", field, v)
		return def
	}
	return n
}

// flag returns the bool under field, or def if it is absent.
func (c *config) flag(field string, def bool) bool {
	v := c.fields[field]
	if v == nil {
		return def
	}
	b, ok := v.(bool)
	if !ok {
		c.fail("%s is %v, want true or false", field, v)
	}
	return b
}

// text returns the string under field, or def if it is absent.
func (c *config) text(field, def string) string {
	v := c.fields[field]
	if v == nil {
		return def
	}
	s, ok := v.(string)
	if !ok {
		c.fail("%s is %v, want a string", field, v)
	}
	return s
}

// texts returns the strings of the array under field, or nil.
func (c *config) texts(field string) []string {
	list := c.list(field)
	out := make([]string, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			c.fail("%s[%d] is %v, want a string", field, i, v)
		}
		out[i] = s
	}
	return out
}

// numbers returns the numbers of the array under field, or nil.
func (c *config) numbers(field string) []float64 {
	list := c.list(field)
	out := make([]float64, len(list))
	for i, v := range list {
		n, ok := v.(json.Number)
		f, err := n.Float64()
		if !ok || err != nil {
			c.fail("%s[%d] is %v, want a number", field, i, v)
		}
		out[i] = f
	}
	return out
}

func (c *config) list(field string) []any {
	v := c.fields[field]
	list, ok := v.([]any)
	if v != nil && !ok {
		c.fail("%s is %v, want an array", field, v)
	}
	return list
}

// ids returns the token ids under field, which is one number or an array of them.
func (c *config) ids(field string) []int32 {
	if _, one := c.fields[field].(json.Number); one {
		return []int32{int32(c.count(field, 0))}
	}
	var out []int32
	for _, f := range c.numbers(field) {
		if f != float64(int32(f)) || f < 0 {
			c.fail("%s holds %v, want token ids", field, f)
		}
		out = append(out, int32(f))
	}
	return out
}
