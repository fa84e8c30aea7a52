package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/ingot-llm/ingot/quant"
)

// KVType is the form in which keys and values are kept. The zero value is the default.
type KVType uint8

const (
	KVBF16 KVType = iota // rounded half to even
	KVF32
	KVQ8_0 // int8 with an f16 scale per token and 32 dimensions
)

var kvTypes = [...]struct {
	name  string
	dtype quant.DType
}{KVBF16: {"bf16", quant.BF16}, KVF32: {"f32", quant.F32}, KVQ8_0: {"q8_0", quant.Q8_0}}

// String returns the name that ParseKVType takes.
func (t KVType) String() string { return kvTypes[t].name }

// ParseKVType returns the type of a name, whatever its letter case.
func ParseKVType(name string) (KVType, error) {
	for t, k := range kvTypes {
		if strings.EqualFold(name, k.name) {
			return KVType(t), nil
		}
	}
	return 0, fmt.Errorf("unknown KV type %q: use bf16, f32 or q8_0", name)
}

// kvTypeOf is the way back from a cache operand's type.
func kvTypeOf(d quant.DType) KVType {
	for t, k := range kvTypes {
		if k.dtype == d {
			return KVType(t)
		}
	}
	panic(fmt.Sprintf("BUG: %v is no type of KV caches", d))
}

// KVLayout is the shape of one layer's cache. A block holds BlockTokens tokens:
//
//	K: [Heads][KDim][16 tokens]    V: [Heads][16 tokens][VDim]
//
// and in Q8_0 each head's int8 payload is followed by its f16 scales,
//
//	K: [ceil(KDim/32)][16]         V: [16][ceil(VDim/32)]
//
// In BF16 the two elements that a product adds at a time lie side by side, KDim being
// rounded up to even:
//
//	K: [Heads][KDim/2][16 tokens][2]    V: [Heads][8 pairs of tokens][VDim][2]
type KVLayout struct {
	Heads, KDim, VDim int
	Type              KVType
}

// BlockBytes returns the bytes of one block, keys and values together.
func (l KVLayout) BlockBytes() int { return l.keyBytes() + l.valueBytes() }

func (l KVLayout) keyBytes() int   { return l.Heads * l.Type.headBytes(l.KDim) }
func (l KVLayout) valueBytes() int { return l.Heads * l.Type.headBytes(l.VDim) }

// headBytes returns the bytes of one head of dim dimensions in one block.
func (t KVType) headBytes(dim int) int {
	switch t {
	case KVF32:
		return BlockTokens * dim * 4
	case KVQ8_0:
		return BlockTokens * (dim + (dim+31)/32*2)
	}
	return BlockTokens * (dim + dim%2) * 2
}

// headLayout says where the elements of one head lie in a block: element d of token j
// at d*dim + j*token, and in Q8_0 the scale of its group g at g*group + j*scale.
// In BF16 element d of token j is one of a pair: see pair.
type headLayout struct {
	dims, dim, token, group, scale int
	keys                           bool
}

func keyLayout(dims int) headLayout { return headLayout{dims, BlockTokens, 1, BlockTokens, 1, true} }
func valueLayout(dims int) headLayout {
	return headLayout{dims, 1, dims, 1, (dims + 31) / 32, false}
}

// pair returns where element d of token j lies in BF16.
func (l headLayout) pair(d, j int) int {
	if l.keys {
		return d/2*2*BlockTokens + 2*j + d%2
	}
	return j/2*2*l.dims + 2*d + j%2
}

// store writes x [dims] as token j of a head's block.
func (t KVType) store(block []byte, l headLayout, j int, x []float32) {
	switch t {
	case KVF32:
		for d, v := range x {
			binary.LittleEndian.PutUint32(block[4*(d*l.dim+j*l.token):], math.Float32bits(v))
		}
	case KVBF16:
		for d, v := range x {
			binary.LittleEndian.PutUint16(block[2*l.pair(d, j):], quant.F32ToBF16(v))
		}
	case KVQ8_0:
		scales := block[BlockTokens*l.dims:]
		for g := 0; 32*g < l.dims; g++ {
			group := x[32*g : min(32*g+32, l.dims)]
			scale, inverse := q8Scale(group)
			binary.LittleEndian.PutUint16(scales[2*(g*l.group+j*l.scale):], scale)
			for i, v := range group {
				q := max(-127, min(127, math.RoundToEven(float64(v*inverse))))
				block[(32*g+i)*l.dim+j*l.token] = byte(int8(q))
			}
		}
	}
}

// q8Scale returns the f16 scale absmax/127 of a group, and the inverse of what a
// reader will see of it (0 for a scale of 0).
func q8Scale(group []float32) (scale uint16, inverse float32) {
	var absmax float32
	for _, v := range group {
		absmax = max(absmax, float32(math.Abs(float64(v))))
	}
	scale = quant.F32ToF16(absmax / 127)
	if d := quant.F16ToF32(scale); d > 0 {
		inverse = 1 / d
	}
	return scale, inverse
}

// load reads token j of a head's block into x [dims].
func (t KVType) load(x []float32, block []byte, l headLayout, j int) {
	switch t {
	case KVF32:
		for d := range x {
			x[d] = math.Float32frombits(binary.LittleEndian.Uint32(block[4*(d*l.dim+j*l.token):]))
		}
	case KVBF16:
		for d := range x {
			x[d] = quant.BF16ToF32(binary.LittleEndian.Uint16(block[2*l.pair(d, j):]))
		}
	case KVQ8_0:
		scales := block[BlockTokens*l.dims:]
		for d := range x {
			scale := quant.F16ToF32(binary.LittleEndian.Uint16(scales[2*(d/32*l.group+j*l.scale):]))
			x[d] = scale * float32(int8(block[d*l.dim+j*l.token]))
		}
	}
}
