// Package safetensors reads and writes Hugging Face's tensor files.
//
//	header length u64 little-endian
//	header: JSON {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
//	              "__metadata__": {"KEY": "VALUE", ...}}, may end in spaces
//	the tensors' bytes, without overlap or hole; offsets count from the header's end
//
// Names here are the file's own; package hf gives them their meaning.
package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/bounds"
)

const format = "safetensors"

// Limits of a header, as in the reference implementation where it has one.
const (
	maxHeader  = 100_000_000
	maxDims    = 8
	maxTensors = 262_144
)

// Tensor is a named array of a file. DType is the format's own name; Shape may be
// empty (a scalar) or hold zeros. Data is little-endian and row-major, valid until
// the file is closed.
type Tensor struct {
	Name  string
	DType string
	Shape []int
	Data  []byte
}

// dtypes maps the format's types to their bytes, and to ours where we have them.
var dtypes = map[string]struct {
	bytes int
	own   quant.DType
	known bool
}{
	"F64": {8, quant.F64, true}, "F32": {4, quant.F32, true}, "F16": {2, quant.F16, true}, "BF16": {2, quant.BF16, true},
	"I64": {8, quant.I64, true}, "I32": {4, quant.I32, true}, "I16": {2, quant.I16, true}, "I8": {1, quant.I8, true},
	"U64": {8, 0, false}, "U32": {4, 0, false}, "U16": {2, 0, false}, "U8": {1, 0, false}, "BOOL": {1, 0, false},
	"F8_E4M3": {1, 0, false}, "F8_E5M2": {1, 0, false}, "F8_E8M0": {1, 0, false},
}

// Quant returns the tensor under the given name as a quant.Tensor of the same bytes.
// A type that quant lacks, a scalar and an empty tensor are errors.
func (t Tensor) Quant(name string) (quant.Tensor, error) {
	d := dtypes[t.DType]
	if !d.known || len(t.Shape) == 0 || len(t.Data) == 0 {
		return quant.Tensor{}, fmt.Errorf("tensor %q of type %s and shape %v cannot be a model's weight", t.Name, t.DType, t.Shape)
	}
	return quant.Tensor{Name: name, DType: d.own, Shape: t.Shape, Data: t.Data}, nil
}

// parse reads a whole file's bytes: its tensors in the order of their bytes, and its
// metadata. Every error is a *bounds.Error.
func parse(data []byte) ([]Tensor, map[string]string, error) {
	if len(data) < 8 {
		return nil, nil, &bounds.Error{Format: format, Field: "header length", Reason: "the file is shorter than 8 bytes"}
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader || n > uint64(len(data)-8) {
		reason := fmt.Sprintf("%d passes the file's end or the limit of %d", n, maxHeader)
		return nil, nil, &bounds.Error{Format: format, Field: "header length", Reason: reason}
	}
	head, body := data[8:8+n], data[8+n:]
	h := header{scanner: scanner{data: head, base: 8}}
	if !utf8.Valid(head) {
		h.fail("header", "it is not valid UTF-8")
	}
	h.parse()
	h.place(body)
	if h.err != nil {
		return nil, nil, h.err
	}
	tensors := make([]Tensor, len(h.entries))
	for i, e := range h.entries {
		tensors[i] = e.Tensor
	}
	return tensors, h.metadata, nil
}

type header struct {
	scanner
	entries  []entry
	metadata map[string]string
}

// entry is a tensor with where its bytes lie.
type entry struct {
	Tensor
	begin, end int
}

func (h *header) parse() {
	if len(h.data) == 0 || h.data[0] != '{' {
		h.fail("header", "it does not begin with {")
	}
	h.object(func(key string) {
		if key == "__metadata__" {
			h.metadata = map[string]string{}
			h.object(func(k string) { h.metadata[k] = h.string() })
			return
		}
		if len(h.entries) == maxTensors {
			h.fail("header", "it names over "+strconv.Itoa(maxTensors)+" tensors")
		}
		h.entries = append(h.entries, h.entry(key))
	})
	if h.next() != 0 || h.off < len(h.data) {
		h.fail("header", "bytes follow the JSON object")
	}
}

func (h *header) entry(name string) entry {
	e := entry{Tensor: Tensor{Name: name}}
	var offsets []int
	h.object(func(key string) {
		switch key {
		case "dtype":
			e.DType = h.string()
		case "shape":
			e.Shape = h.numbers(maxDims)
		case "data_offsets":
			offsets = h.numbers(2)
		default:
			h.fail(name, "unknown field "+strconv.Quote(key))
		}
	})
	if h.err != nil {
		return e
	}
	size, ok := dtypes[e.DType]
	n, fits := bounds.Mul(append([]int{size.bytes}, e.Shape...)...)
	switch {
	case !ok:
		h.fail(name, "unknown dtype "+strconv.Quote(e.DType))
	case e.Shape == nil || len(offsets) != 2:
		h.fail(name, "shape or data_offsets is missing")
	case !fits || offsets[1] < offsets[0] || offsets[1]-offsets[0] != n:
		h.fail(name, fmt.Sprintf("data_offsets %v do not span the bytes of %s %v", offsets, e.DType, e.Shape))
	default:
		e.begin, e.end = offsets[0], offsets[1]
	}
	return e
}

// place sorts the tensors by offset and gives them their bytes, which must cover the
// body without overlap or hole.
func (h *header) place(body []byte) {
	slices.SortFunc(h.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.Name, b.Name))
	})
	at := 0
	for i := range h.entries {
		e := &h.entries[i]
		if e.begin != at || e.end > len(body) {
			h.fail(e.Name, fmt.Sprintf("its bytes [%d, %d) leave a hole, overlap or pass the end (%d bytes)", e.begin, e.end, len(body)))
			return
		}
		at = e.end
		e.Data = body[e.begin:e.end:e.end]
	}
	if h.err == nil && at != len(body) {
		h.fail("header", fmt.Sprintf("the tensors cover %d of %d bytes", at, len(body)))
	}
}
