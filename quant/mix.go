package quant

import (
	"fmt"
	"strconv"
	"strings"
)

// Mix is one of llama.cpp's recipes for a whole model: a base type and which tensors
// deserve another. Mixes are immutable values; ParseMix gives them.
type Mix struct {
	Name     string // llama.cpp's name, such as "Q4_K_M"
	FileType uint32 // the number under general.file_type in GGUF (enum llama_ftype)
	Base     DType  // the type of tensors that no rule lifts

	value, down, out rule // for attn_v (or the fused qkv), ffn_down, attn_output; nil is Base
	eightExperts     bool // with eight experts attn_output has Q5_K
}

// TensorFacts is what a Mix decides by.
type TensorFacts struct {
	Name       string // GGUF's, such as "blk.3.attn_v.weight"
	Shape      []int  // outermost dimension first
	Layers     int    // transformer blocks of the model
	Experts    int    // experts per block, 0 in a dense model
	GQA        int    // query heads per key-value head
	Tied       bool   // the model has no output.weight: token_embd is the output too
	Importance bool   // the quantizer has importance weights
}

// rule chooses the type of one kind of tensor in the given layer; base is Mix.Base.
type rule func(base DType, t TensorFacts, layer int) DType

func always(d DType) rule {
	return func(DType, TensorFacts, int) DType { return d }
}

// moreBits takes d in the first and last eighth of the layers and in every third one
// between.
func moreBits(d DType) rule {
	return func(base DType, t TensorFacts, layer int) DType {
		eighth := t.Layers / 8
		if layer < eighth || layer >= 7*t.Layers/8 || (layer-eighth)%3 == 2 {
			return d
		}
		return base
	}
}

// inLayers takes first in the layers below n and then rest.
func inLayers(n int, first DType, rest rule) rule {
	return func(base DType, t TensorFacts, layer int) DType {
		if layer < n {
			return first
		}
		return rest(base, t, layer)
	}
}

// inPart takes first in the first 1/n of the layers and then rest.
func inPart(n int, first DType, rest rule) rule {
	return func(base DType, t TensorFacts, layer int) DType {
		return inLayers(t.Layers/n, first, rest)(base, t, layer)
	}
}

// shared takes d where four or more query heads share a key-value head, which makes
// the tensor small, and rest elsewhere.
func shared(d DType, rest rule) rule {
	return func(base DType, t TensorFacts, layer int) DType {
		if t.GQA >= 4 {
			return d
		}
		return rest(base, t, layer)
	}
}

// given takes yes where the quantizer's having importance weights is as wanted.
func given(importance bool, yes rule) rule {
	return func(base DType, t TensorFacts, layer int) DType {
		if t.Importance == importance {
			return yes(base, t, layer)
		}
		return base
	}
}

func plain(base DType, _ TensorFacts, _ int) DType { return base }

// mixes holds llama.cpp's recipes (llama-quant.cpp, llama_tensor_get_type_impl).
var mixes = []Mix{
	{Name: "F32", FileType: 0, Base: F32},
	{Name: "F16", FileType: 1, Base: F16},
	{Name: "BF16", FileType: 32, Base: BF16},
	{Name: "Q4_0", FileType: 2, Base: Q4_0, down: given(true, inPart(8, Q4_1, plain))},
	{Name: "Q4_1", FileType: 3, Base: Q4_1},
	{Name: "Q5_0", FileType: 8, Base: Q5_0, down: given(true, inPart(8, Q5_1, plain))},
	{Name: "Q5_1", FileType: 9, Base: Q5_1},
	{Name: "Q8_0", FileType: 7, Base: Q8_0},
	{Name: "Q2_K", FileType: 10, Base: Q2_K, value: shared(Q4_K, always(Q3_K)), down: always(Q3_K), out: always(Q3_K), eightExperts: true},
	{Name: "Q2_K_S", FileType: 21, Base: Q2_K, value: shared(Q4_K, plain), down: inPart(8, Q4_K, plain)},
	{Name: "Q3_K_S", FileType: 11, Base: Q3_K, eightExperts: true},
	{Name: "Q3_K_M", FileType: 12, Base: Q3_K, value: inLayers(2, Q5_K, always(Q4_K)), down: inPart(16, Q5_K, always(Q4_K)), out: always(Q4_K), eightExperts: true},
	{Name: "Q3_K_L", FileType: 13, Base: Q3_K, value: always(Q5_K), down: always(Q5_K), out: always(Q5_K)},
	{Name: "Q4_K_S", FileType: 14, Base: Q4_K, value: inLayers(4, Q5_K, plain), down: inPart(8, Q5_K, plain), eightExperts: true},
	{Name: "Q4_K_M", FileType: 15, Base: Q4_K, value: moreBits(Q6_K), down: moreBits(Q6_K), eightExperts: true},
	{Name: "Q5_K_S", FileType: 16, Base: Q5_K},
	{Name: "Q5_K_M", FileType: 17, Base: Q5_K, value: moreBits(Q6_K), down: moreBits(Q6_K)},
	{Name: "Q6_K", FileType: 18, Base: Q6_K},
	{Name: "IQ4_NL", FileType: 25, Base: IQ4_NL, value: shared(Q5_K, plain), down: given(false, inPart(8, Q5_K, plain)), eightExperts: true},
	{Name: "IQ4_XS", FileType: 30, Base: IQ4_XS, value: shared(Q5_K, plain), down: given(false, inPart(8, Q5_K, plain)), eightExperts: true},
	{Name: "MXFP4_MOE", FileType: 38, Base: MXFP4},
}

// mixAliases are llama.cpp's short names.
var mixAliases = map[string]string{"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}

// MixNames returns the names that ParseMix knows, plain types first.
func MixNames() []string {
	names := make([]string, len(mixes))
	for i, m := range mixes {
		names[i] = m.Name
	}
	return names
}

// ParseMix returns the mix of llama.cpp's name, whatever its letter case. Q3_K, Q4_K
// and Q5_K stand for their M mixes.
func ParseMix(name string) (Mix, error) {
	wanted := strings.ToUpper(name)
	if full, ok := mixAliases[wanted]; ok {
		wanted = full
	}
	for _, m := range mixes {
		if m.Name == wanted {
			return m, nil
		}
	}
	return Mix{}, fmt.Errorf("unknown quantization %q; known are %s", name, strings.Join(MixNames(), " "))
}

// TypeFor returns the type that tensor t is stored as. Vectors, biases, norms, routers,
// position and token-type embeddings are F32. Where t's rows are not a whole number of
// blocks, a type with smaller blocks takes the chosen one's place, at last F16.
func (m Mix) TypeFor(t TensorFacts) DType {
	if !quantizable(t) {
		return F32
	}
	if m.Base.BlockElems() == 1 {
		return m.Base
	}
	return fit(m.choose(t), t.Shape[len(t.Shape)-1])
}

// keptWhole are parts of the names of matrices that are small and sensitive.
var keptWhole = []string{"_norm.weight", "ffn_gate_inp", "position_embd", "token_types"}

func quantizable(t TensorFacts) bool {
	for _, part := range keptWhole {
		if strings.Contains(t.Name, part) {
			return false
		}
	}
	return strings.HasSuffix(t.Name, "weight") && rowsOf(t.Shape) > 1
}

// rowsOf returns how many rows a tensor has; a vector, also as a matrix of one row
// (the head of a reward model), has one.
func rowsOf(shape []int) int {
	rows := 1
	for _, n := range shape[:max(len(shape)-1, 0)] {
		rows *= n
	}
	return rows
}

func (m Mix) choose(t TensorFacts) DType {
	has := func(part string) bool { return strings.Contains(t.Name, part) }
	switch {
	case t.Name == "output.weight" || t.Tied && t.Name == "token_embd.weight":
		return m.outputType(t)
	case m.Base == MXFP4:
		if len(t.Shape) > 2 && t.Shape[0] > 1 {
			return MXFP4
		}
		return Q8_0
	case has("attn_v.weight") || has("attn_qkv.weight") || has("attn_kv_b.weight"):
		return m.valueType(t)
	case has("attn_k.weight") && t.Experts == 8:
		return Q8_0 // some 128 MB in Mixtral 8x7B
	case has("ffn_down"):
		return m.apply(m.down, t)
	case has("attn_output.weight") && t.Experts == 8:
		if m.eightExperts {
			return Q5_K
		}
	case has("attn_output.weight"):
		return m.apply(m.out, t)
	}
	return m.Base
}

func (m Mix) apply(r rule, t TensorFacts) DType {
	if r == nil {
		return m.Base
	}
	return r(m.Base, t, layerOf(t.Name))
}

func (m Mix) outputType(t TensorFacts) DType {
	cols := t.Shape[len(t.Shape)-1]
	if m.Base == MXFP4 || m.Base == Q8_0 || cols%m.Base.BlockElems() != 0 {
		return Q8_0
	}
	return Q6_K
}

func (m Mix) valueType(t TensorFacts) DType {
	d := m.apply(m.value, t)
	if t.Layers == 80 && t.GQA == 8 && (d == Q3_K || d == Q4_K) {
		d = Q5_K // the 70B shape: attn_v is an eighth of attn_q
	}
	if t.Experts == 8 {
		d = Q8_0
	}
	return d
}

// layerOf returns N of "blk.N.rest", or 0.
func layerOf(name string) int {
	rest, _ := strings.CutPrefix(name, "blk.")
	number, _, _ := strings.Cut(rest, ".")
	n, _ := strconv.Atoi(number)
	return n
}

// smallerBlocks are the types of 32-element blocks that stand in for 256-element ones.
var smallerBlocks = map[DType]DType{Q2_K: Q4_0, Q3_K: Q4_0, Q4_K: Q5_0, Q5_K: Q5_1, Q6_K: Q8_0, IQ4_XS: IQ4_NL}

// fit returns d or what stands in for it in rows of cols elements.
func fit(d DType, cols int) DType {
	if small, ok := smallerBlocks[d]; ok && cols%d.BlockElems() != 0 {
		d = small
	}
	if cols%d.BlockElems() != 0 {
		return F16
	}
	return d
}
