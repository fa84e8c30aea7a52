package gguf

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/bounds"
)

// contents is what one GGUF file holds; the tensors' Data lie in the file's bytes.
type contents struct {
	meta    *quant.Meta
	tensors []quant.Tensor
}

// parse reads a whole file's bytes. Every error is a *bounds.Error.
func parse(data []byte) (contents, error) {
	p := parser{Reader: bounds.NewReader("GGUF", data)}
	nTensors, nKeys := p.header()
	meta := p.metadata(nKeys)
	infos := p.infos(nTensors)
	p.place(data, meta, infos)
	return contents{meta: meta, tensors: tensors(infos)}, p.Err()
}

type parser struct{ *bounds.Reader }

// header returns the two counts. A key takes at least 13 bytes (empty name, type,
// one byte), a tensor at least 32.
func (p *parser) header() (nTensors, nKeys int) {
	if m := p.Bytes("magic", 4); p.Err() == nil && string(m) != magic {
		p.Fail("magic", "%q is not %q", m, magic)
	}
	switch v := p.U32("version"); {
	case p.Err() != nil || v == 2 || v == 3:
	case v == 2<<24 || v == 3<<24:
		p.Fail("version", "the file is big-endian; only little-endian files are read")
	default:
		p.Fail("version", "%d is not supported (2 and 3 are)", v)
	}
	return p.Count("tensor count", maxTensors, 32), p.Count("key count", maxKeys, 13)
}

func (p *parser) metadata(n int) *quant.Meta {
	meta := &quant.Meta{}
	for range n {
		key := p.name("key")
		if meta.Has(key) {
			p.Fail("key", "%q occurs twice", key)
		}
		value := p.value(key, kind(p.U32("type of "+key)))
		if p.Err() != nil {
			return meta
		}
		meta.Set(key, value)
	}
	return meta
}

// name reads a key or a tensor's name.
func (p *parser) name(field string) string {
	s := p.String(field, math.MaxUint16)
	if p.Err() == nil && (s == "" || !utf8.ValidString(s)) {
		p.Fail(field, "%q is no name in UTF-8", s)
	}
	return s
}

func (p *parser) value(key string, k kind) any {
	switch k {
	case kindString:
		limit := uint64(maxString)
		if key == tokenizerKey {
			limit = maxTokenizer
		}
		s := p.String(key, limit)
		if !utf8.ValidString(s) {
			p.Fail(key, "the string is not valid UTF-8")
		}
		return s
	case kindArray:
		return p.array(key)
	default:
		return p.scalar(key, k)
	}
}

// info is a tensor's description as the file has it.
type info struct {
	quant.Tensor
	bytes, offset int
}

func (p *parser) infos(n int) []info {
	infos := make([]info, 0, n)
	seen := make(map[string]bool, n)
	for range n {
		t := p.info()
		if p.Err() != nil {
			return infos
		}
		if seen[t.Name] {
			p.Fail("tensor", "%q occurs twice", t.Name)
		}
		seen[t.Name] = true
		infos = append(infos, t)
	}
	return infos
}

func (p *parser) info() info {
	name := p.name("tensor name")
	shape := p.shape(name)
	t := info{Tensor: quant.Tensor{Name: name, Shape: shape, DType: quant.DType(p.U32("type of " + name))}}
	offset := p.U64("offset of " + name)
	if p.Err() != nil {
		return t
	}
	if offset > math.MaxInt {
		p.Fail("offset of "+name, "%d is out of range", offset)
		return t
	}
	t.offset = int(offset)
	t.bytes = p.size(t.Tensor)
	return t
}

// shape reads the dimensions and turns them round, outermost first.
func (p *parser) shape(name string) []int {
	n := p.U32("dimension count of " + name)
	if p.Err() == nil && (n < 1 || n > maxDims) {
		p.Fail("dimension count of "+name, "%d is not within 1 to %d", n, maxDims)
	}
	if p.Err() != nil {
		return nil
	}
	shape := make([]int, n)
	for i := range shape {
		d := p.U64("dimension of " + name)
		if p.Err() == nil && (d < 1 || d > math.MaxInt) {
			p.Fail("dimension of "+name, "%d is out of range", d)
		}
		shape[len(shape)-1-i] = int(d)
	}
	return shape
}

// size returns the tensor's bytes, checking type and dimensions.
func (p *parser) size(t quant.Tensor) int {
	if !t.DType.Known() {
		p.Fail("type of "+t.Name, "%d is no known tensor type", uint32(t.DType))
		return 0
	}
	elems, ok := bounds.Mul(t.Shape...)
	if !ok || t.Cols()%t.DType.BlockElems() != 0 {
		p.Fail("shape of "+t.Name, "%v is no whole number of %v blocks in range", t.Shape, t.DType)
		return 0
	}
	n, ok := bounds.Mul(elems/t.DType.BlockElems(), t.DType.BlockBytes())
	if !ok {
		p.Fail("shape of "+t.Name, "%v is too large", t.Shape)
	}
	return n
}

// place gives every tensor its bytes. Tensors lie one after another in the order of
// their descriptions, each padded, as ggml demands too.
func (p *parser) place(data []byte, meta *quant.Meta, infos []info) {
	align := p.alignment(meta)
	start, ok := bounds.Pad(p.Offset(), align)
	if p.Err() != nil || len(infos) == 0 {
		return
	}
	if !ok || start > len(data) {
		p.Fail("padding", "the file ends before its first tensor")
		return
	}
	body, next := data[start:], 0
	for i := range infos {
		t := &infos[i]
		if t.offset != next {
			p.Fail("offset of "+t.Name, "%d is not %d, where the tensor before it ends", t.offset, next)
			return
		}
		end, ok := bounds.Add(t.offset, t.bytes)
		if !ok || end > len(body) {
			p.Fail("tensor "+t.Name, "its %d bytes at offset %d pass the end of the file's %d bytes of tensors", t.bytes, t.offset, len(body))
			return
		}
		t.Data = body[t.offset:end:end]
		if next, ok = bounds.Pad(end, align); !ok {
			p.Fail("tensor "+t.Name, "it ends out of range")
			return
		}
	}
}

func (p *parser) alignment(meta *quant.Meta) int {
	if !meta.Has(alignmentKey) {
		return defaultAlignment
	}
	align, ok := meta.Get(alignmentKey).(uint32)
	if !ok || align < 8 || align > maxAlignment || align&(align-1) != 0 {
		p.Fail(alignmentKey, "%v is no uint32 power of two within 8 to %d", meta.Get(alignmentKey), maxAlignment)
		return defaultAlignment
	}
	return int(align)
}

func tensors(infos []info) []quant.Tensor {
	out := make([]quant.Tensor, len(infos))
	for i, t := range infos {
		out[i] = t.Tensor
	}
	return out
}

// String names a kind in errors.
func (k kind) String() string {
	names := [...]string{"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "bool", "string", "array", "uint64", "int64", "float64"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("type %d", uint32(k))
}
