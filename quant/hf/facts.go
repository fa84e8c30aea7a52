package hf

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/quant"
)

// fact ties a field of config.json to a metadata key, for both directions. A key
// that begins with a dot stands under the architecture's name.
type fact struct {
	field string
	key   string
	kind  factKind
	// def is the value of an absent field: a number or bool, a string naming the field
	// that it equals, omitted (no key then), or nil: the field must be there.
	def any
}

type factKind int

const (
	count  factKind = iota // uint32
	number                 // float32
	flag                   // bool
	scale                  // float32, 1/sqrt of the field (Gemma's query_pre_attn_scalar)
)

// omitted as a fact's default: without the field there is no key.
type omitted struct{}

// metaKey returns the fact's full key for an architecture.
func metaKey(arch, key string) string {
	if strings.HasPrefix(key, ".") {
		return arch + key
	}
	return key
}

// read puts the fact into the metadata.
func (f fact) read(c *config, arch string, m *quant.Meta) {
	from := f.field
	if !c.has(from) {
		switch def := f.def.(type) {
		case nil:
			c.fail("%s is missing", f.field)
			return
		case omitted:
			return
		case string:
			if from = def; !c.has(from) {
				c.fail("%s is missing", f.field)
				return
			}
		}
	}
	key := metaKey(arch, f.key)
	switch f.kind {
	case count:
		def, _ := f.def.(int)
		m.Set(key, uint32(c.count(from, def)))
	case number:
		def, _ := f.def.(float64)
		m.Set(key, float32(c.number(from, def)))
	case scale:
		def, _ := f.def.(float64)
		m.Set(key, float32(1/math.Sqrt(c.number(from, def))))
	case flag:
		def, _ := f.def.(bool)
		m.Set(key, c.flag(from, def))
	}
}

// write puts the fact into the fields of a config.json.
func (f fact) write(fields map[string]any, arch string, m *quant.Meta) {
	key := metaKey(arch, f.key)
	if !m.Has(key) {
		if def, ok := f.def.(string); ok {
			fields[f.field] = fields[def]
		}
		return
	}
	switch f.kind {
	case count:
		fields[f.field] = m.Int(key, 0)
	case number:
		fields[f.field] = shortest(float32(m.Float(key, 0)))
	case scale:
		fields[f.field] = unscale(float32(m.Float(key, 0)))
	case flag:
		fields[f.field] = m.Bool(key, false)
	}
}

// shortest returns f as the shortest decimal that gives the same float32, as a
// config.json has it (1e-06, not 9.999999974752427e-07).
func shortest(f float32) json.Number {
	b, err := json.Marshal(f)
	if err != nil {
		return "0"
	}
	s := string(b)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return json.Number(s)
}

// unscale returns x of f = 1/sqrt(x), a whole number where one gives f.
func unscale(f float32) any {
	x := 1 / (float64(f) * float64(f))
	if n := math.Round(x); float32(1/math.Sqrt(n)) == f {
		return int(n)
	}
	return x
}

// fixed says that a field, if it is there, must have one of the values.
type fixed struct {
	field  string
	values []any
}

// check refuses a field whose value would change the model in a way that is not
// supported. An empty array counts as absent.
func (f fixed) check(c *config) {
	v := c.fields[f.field]
	if n, ok := v.(json.Number); ok {
		v, _ = n.Float64()
	}
	if list, ok := v.([]any); v == nil || ok && len(list) == 0 {
		return
	}
	if _, object := v.(map[string]any); object || !slices.Contains(f.values, v) {
		c.fail("%s is %v, which is not supported (supported: %v)", f.field, v, f.values)
	}
}
