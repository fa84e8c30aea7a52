package hf

import (
	"fmt"

	"github.com/ingot-llm/ingot/quant/safetensors"
)

// Endings under which gpt-oss publishes MXFP4 experts.
const (
	blocksSuffix = "_blocks"
	scalesSuffix = "_scales"
)

// mxfp4 makes a GGUF tensor of published blocks [experts, rows, n, 16] (byte j holds
// elements 2j and 2j+1, low nibble first) and scales [experts, rows, n] (the exponent
// plus 127). A GGUF block is the scale, then 16 bytes of which byte j holds elements j
// and j+16. step and first choose rows: gate and up are interleaved.
type mxfp4 struct {
	blocks, scales []byte
	rows, perRow   int // of the result, over all experts; blocks a row
	first, step    int
}

const (
	publishedBlock = 16
	ggufBlock      = 17
)

// published returns the recipe and shape of a GGUF tensor of that form.
func published(blocks, scales safetensors.Tensor, f form) (*mxfp4, []int, error) {
	b, s := blocks.Shape, scales.Shape
	if blocks.DType != "U8" || scales.DType != "U8" || len(b) != 4 || len(s) != 3 ||
		b[0] != s[0] || b[1] != s[1] || b[2] != s[2] || b[3] != publishedBlock || len(blocks.Data) == 0 {
		return nil, nil, fmt.Errorf("tensors %q (%s %v) and %q (%s %v) are no MXFP4 blocks and scales",
			blocks.Name, blocks.DType, b, scales.Name, scales.DType, s)
	}
	m := &mxfp4{blocks: blocks.Data, scales: scales.Data, perRow: b[2], step: 1}
	if f == gateOf || f == upOf {
		if b[1]%2 != 0 {
			return nil, nil, fmt.Errorf("tensor %q has %d rows, want gate and up interleaved", blocks.Name, b[1])
		}
		m.step = 2
	}
	if f == upOf {
		m.first = 1
	}
	m.rows = b[0] * b[1] / m.step
	return m, []int{b[0], b[1] / m.step, b[2] * 32}, nil
}

func (m *mxfp4) fill(dst []byte) {
	for r := range m.rows {
		from := (r*m.step + m.first) * m.perRow
		for i := range m.perRow {
			to := dst[(r*m.perRow+i)*ggufBlock:][:ggufBlock]
			to[0] = m.scales[from+i]
			packHalves(to[1:], m.blocks[(from+i)*publishedBlock:][:publishedBlock])
		}
	}
}

// packHalves turns pairs of neighbours into pairs of an element and the one 16 on.
func packHalves(dst, src []byte) {
	for j := range dst {
		dst[j] = nibble(src, j) | nibble(src, j+16)<<4
	}
}

// packPairs is packHalves' inverse.
func packPairs(dst, src []byte) {
	for j := range dst {
		dst[j] = half(src, 2*j) | half(src, 2*j+1)<<4
	}
}

func nibble(b []byte, i int) byte { return b[i/2] >> (4 * (i % 2)) & 15 }

func half(b []byte, i int) byte { return b[i%16] >> (4 * (i / 16)) & 15 }
