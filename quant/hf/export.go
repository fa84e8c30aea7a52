package hf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/relayout"
	"github.com/ingot-llm/ingot/quant/safetensors"
)

// Export is a model as a Hugging Face directory will hold it, as plain data: its
// small files whole, its tensors as pieces of the Source's.
type Export struct {
	Files   map[string][]byte // by name below the directory
	Tensors []safetensors.Tensor
	pieces  [][]Piece
}

// Piece is what one tensor of a Source gives to a tensor of an Export. Where Expert is
// not negative, only that expert's matrix of the stack is meant. Move carries elements
// of the Source's tensor (or that matrix), decoded to the Export's type less Plus, to
// their places. MXFP4 pieces are repacked instead.
type Piece struct {
	Name   string
	Expert int
	Plus   float32
	Move   relayout.Move
	MXFP4  MXFP4Part
}

// MXFP4Part says which half of MXFP4 data a published tensor holds.
type MXFP4Part struct {
	Blocks, Scales bool
	First, Step    int // rows of the published tensor
}

// Pieces returns what tensor i is made of.
func (e *Export) Pieces(i int) []Piece { return e.pieces[i] }

// NewExport plans the directory of a Source of one of our architectures. Matrices
// have type float (F32, F16 or BF16) there, vectors too where that loses nothing;
// MXFP4 experts of gpt-oss stay as they are.
func NewExport(src quant.Source, float quant.DType) (*Export, error) {
	f, err := familyOf(src.Meta())
	if err != nil {
		return nil, err
	}
	x := exporter{src: src, meta: src.Meta(), family: f, float: float, byName: map[string]int{}, infos: map[string]quant.Tensor{}}
	for _, t := range src.Infos() {
		x.infos[t.Name] = t
	}
	if err := x.tensors(); err != nil {
		return nil, err
	}
	if x.Files, err = x.files(); err != nil {
		return nil, err
	}
	return &x.Export, nil
}

type exporter struct {
	Export
	src    quant.Source
	meta   *quant.Meta
	family *family
	float  quant.DType
	byName map[string]int // index in Tensors
	infos  map[string]quant.Tensor
	mxfp4  bool // some experts stay quantized
}

func (x *exporter) tensors() error {
	m := model{
		layers: x.key("block_count"), heads: x.key("attention.head_count"), experts: x.key("expert_count"),
	}
	used := map[string]bool{freqsName: true, longName: true, shortName: true}
	for _, r := range x.family.rules {
		for l := range r.links(m) {
			t, ok := x.infos[l.gguf]
			if !ok && r.optional {
				continue
			}
			if !ok {
				return fmt.Errorf("%w: %q", quant.ErrNoTensor, l.gguf)
			}
			used[t.Name] = true
			if err := x.link(l, t, m); err != nil {
				return err
			}
		}
	}
	for name := range x.infos {
		if !used[name] {
			return fmt.Errorf("tensor %q has no place in a %s model directory", name, x.family.modelType)
		}
	}
	return nil
}

// key returns an integer under the architecture's name.
func (x *exporter) key(key string) int { return x.meta.Int(x.family.arch+"."+key, 0) }

func (x *exporter) link(l link, t quant.Tensor, m model) error {
	if p := prefixes[x.family.modelType]; len(p) > 0 {
		l.hf = p[0] + l.hf
	}
	if err := l.fromGGUF(t.Shape, m); err != nil {
		return err
	}
	if t.DType == quant.MXFP4 && x.family.modelType == "gpt_oss" {
		x.published(l, t)
		return nil
	}
	p := Piece{Name: t.Name, Expert: -1, Move: l.toGGUF.Inverse()}
	if err := x.unpermute(&p, t); err != nil {
		return err
	}
	if l.form == expert {
		p.Expert, p.Move.FromAt = l.expert, 0
	}
	if l.form == onePlus {
		p.Plus = 1
	}
	d, err := x.dtype(t, p)
	if err != nil {
		return err
	}
	x.put(safetensors.Tensor{Name: l.hf, DType: d, Shape: l.hfShape}, p)
	return nil
}

// put adds a piece to its tensor, which the first piece makes. One piece that needs F32
// makes all of the tensor F32.
func (x *exporter) put(t safetensors.Tensor, p Piece) {
	i, ok := x.byName[t.Name]
	if !ok {
		i = len(x.Tensors)
		x.byName[t.Name] = i
		x.Tensors = append(x.Tensors, t)
		x.pieces = append(x.pieces, nil)
	}
	if t.DType == "F32" {
		x.Tensors[i].DType = "F32"
	}
	x.pieces[i] = append(x.pieces[i], p)
}

// unpermute turns rows of Q and K from ggml's order of interleaved pairs (row 2i of a
// head turns with 2i+1) back to Hugging Face's halves (row i with i+d/2), where the
// Source has them so: rows [heads, d/2, 2] become [heads, 2, d/2].
func (x *exporter) unpermute(p *Piece, t quant.Tensor) error {
	heads, err := x.rotaryHeads(t.Name, t.Shape[0])
	if heads == 0 {
		return err
	}
	dims := []int{heads, 2, t.Shape[0] / heads / 2, t.Elems() / t.Shape[0]}
	p.Move = relayout.Permute(dims, []int{0, 2, 1, 3}).Inverse()
	return nil
}

// rotaryHeads returns how many heads the rows of a tensor have that lie in interleaved
// pairs, 0 where they do not.
func (x *exporter) rotaryHeads(name string, rows int) (int, error) {
	if !Permuted(x.family.arch) || x.meta.String(LayoutKey, "") == LayoutHalf {
		return 0, nil
	}
	heads := x.key("attention.head_count")
	switch {
	case strings.Contains(name, ".attn_k."):
		heads = x.meta.Int(x.family.arch+".attention.head_count_kv", heads)
	case !strings.Contains(name, ".attn_q."):
		return 0, nil
	}
	if heads < 1 || rows%(2*heads) != 0 {
		return 0, fmt.Errorf("tensor %q has %d rows, which are no %d heads of even size", name, rows, heads)
	}
	return heads, nil
}

// dtype returns the type of a tensor in the directory: the Export's, but F32 for a
// vector, or a stack of biases, that it would round.
func (x *exporter) dtype(t quant.Tensor, p Piece) (string, error) {
	if inF32(t.Name, t.Shape) && x.float != quant.F32 && t.DType == quant.F32 {
		exact, err := x.exact(t, p)
		if err != nil {
			return "", err
		}
		if !exact {
			return "F32", nil
		}
	}
	return x.float.String(), nil
}

// exact reports whether the Export's type holds a vector as it is.
func (x *exporter) exact(t quant.Tensor, p Piece) (bool, error) {
	t, err := x.src.Tensor(t.Name)
	if err != nil {
		return false, err
	}
	values, back := make([]float32, t.Elems()), make([]float32, t.Elems())
	quant.Dequantize(t.DType, values, t.Data)
	for i := range values {
		values[i] -= p.Plus
	}
	raw := make([]byte, x.float.RowBytes(len(values)))
	if err := quant.Quantize(x.float, raw, values, nil); err != nil {
		return false, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	quant.Dequantize(x.float, back, raw)
	return slices.Equal(values, back), nil
}

// published plans blocks and scales of gpt-oss's experts.
func (x *exporter) published(l link, t quant.Tensor) {
	x.mxfp4 = true
	part := MXFP4Part{Step: 1}
	rows := t.Shape[1]
	if l.form == gateOf || l.form == upOf {
		part.Step = 2
		rows *= 2
	}
	if l.form == upOf {
		part.First = 1
	}
	shape := []int{t.Shape[0], rows, t.Cols() / 32}
	blocks, scales := part, part
	blocks.Blocks, scales.Scales = true, true
	x.put(safetensors.Tensor{Name: l.hf + blocksSuffix, DType: "U8", Shape: append(slices.Clone(shape), publishedBlock)},
		Piece{Name: t.Name, Expert: -1, MXFP4: blocks})
	x.put(safetensors.Tensor{Name: l.hf + scalesSuffix, DType: "U8", Shape: shape}, Piece{Name: t.Name, Expert: -1, MXFP4: scales})
}

// Unpack writes a GGUF tensor's MXFP4 blocks into the published tensor's bytes.
func (p MXFP4Part) Unpack(dst []byte, t quant.Tensor) {
	perRow := t.Cols() / 32
	for r := range t.Rows() {
		to := (r*p.Step + p.First) * perRow
		for i := range perRow {
			from := t.Data[(r*perRow+i)*ggufBlock:][:ggufBlock]
			if p.Scales {
				dst[to+i] = from[0]
			} else {
				packPairs(dst[(to+i)*publishedBlock:][:publishedBlock], from[1:])
			}
		}
	}
}
