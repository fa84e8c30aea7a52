package kernels

import (
	"fmt"
	"io"
	"strings"

	"github.com/ingot-llm/ingot/quant"
)

// Value is the number of an operand of the program under construction. -1 is an absent
// one.
type Value int32

// Kind says what an operand is.
type Kind uint8

const (
	Weight     Kind = iota // Data holds it
	Activation             // the plan gives it memory
	View                   // columns of an activation, in its memory
	KeyCache               // K of a layer; the Runner owns it
	ValueCache             // V of a layer
	Gradient               // of a weight, or another sum over rows, in Data: the run adds to it; or Training.Upstream and Noise, which it reads
)

// Operand describes an array of a program. Weights have Rows rows; activations have
// Rows rows per unit of Per, of Cols elements each.
type Operand struct {
	Name  string // a weight's tensor
	Kind  Kind
	DType quant.DType // storage type, I32 for ids, or PackBF16 or PackInt8
	Per   Per
	Rows  int
	Cols  int
	Base  Value  // of a View: the activation it looks at
	From  int    // of a View: its first column (its first row is its Per's); of a cache: its layer
	Data  []byte // of a Weight: native or mapped memory, read-only; of a Gradient: native memory
	// Interleaved: Data holds the form that Repack gives it, which native tables read.
	Interleaved bool
}

// Program is a forward pass as plain data, made by a Builder. It does not change, and
// any number of Runners may share it.
type Program struct {
	Instrs   []Instr
	Operands []Operand
	Layers   []KVLayout       // the caches, by layer; empty for a program without attention
	Output   Value            // what Runner.Output shows
	observed map[string]Value // sums of what products read, by the weight
	owned    arena            // weights that the Builder widened, and Memory
	memory   *Buf
}

// Close frees the memory that the Builder made for the program (norms, biases and
// sinks widened to f32, rotary frequencies). No Runner of the program may be left. The
// tensors that it was built from belong to their Source.
func (p *Program) Close() { p.owned.free() }

// Memory returns the copy of the weights that Library.Load or Repack made, nil without one.
func (p *Program) Memory() []byte {
	if p.memory == nil {
		return nil
	}
	return p.memory.Bytes()
}

// BlockBytes returns the bytes of one KV block over all layers.
func (p *Program) BlockBytes() int {
	n := 0
	for _, l := range p.Layers {
		n += l.BlockBytes()
	}
	return n
}

// Bytes returns how many bytes of weights a step over one token reads: every weight
// once, of a table of embeddings one row, of stacked experts those that are used. It
// is the memory roofline of decoding.
func (p *Program) Bytes() int64 {
	var n int64
	seen := map[int32]bool{}
	for i := range p.Instrs {
		in := &p.Instrs[i]
		for _, v := range in.In {
			if v >= 0 && p.Operands[v].Kind == Weight && !seen[v] {
				n += p.weightBytes(in, v)
				seen[v] = in.Op != opEmbed.code // a tied table is read whole elsewhere
			}
		}
	}
	return n
}

// WeightBytes returns the bytes of all weights together.
func (p *Program) WeightBytes() (n int64) {
	for i := range p.Operands {
		if p.Operands[i].Kind == Weight {
			n += int64(len(p.Operands[i].Data))
		}
	}
	return n
}

func (p *Program) weightBytes(in *Instr, v int32) int64 {
	w := &p.Operands[v]
	switch in.Op {
	case opEmbed.code:
		return int64(w.DType.RowBytes(w.Cols))
	case opExpertLinear.code:
		return int64(len(w.Data)) / int64(in.I[2]) * int64(in.I[0])
	}
	return int64(len(w.Data))
}

// FLOPs returns the floating-point operations of the products and the attention in a
// step over tokens rows, of which logits give logits, when each row sees context keys.
// A multiply-add counts as two.
func (p *Program) FLOPs(tokens, logits, context int) int64 {
	var n int64
	for i := range p.Instrs {
		in := &p.Instrs[i]
		if f := ops[in.Op].flops; f != nil {
			out := p.Operands[in.Out[0]]
			unit, _ := out.Per.split()
			units := out.Per.of(map[Per]int{Fixed: 1, PerToken: tokens, PerLogit: logits, PerSeq: 1}[unit])
			n += int64(units*out.Rows) * f(p, in, context)
		}
	}
	return n
}

// limitOf returns the number of rows of the smallest table that EMBED reads from
// source, or -1 where none does.
func (p *Program) limitOf(source int32) int {
	least := -1
	for i := range p.Instrs {
		if in := &p.Instrs[i]; in.Op == opEmbed.code && in.I[0] == source {
			if rows := p.Operands[in.In[0]].Rows; least < 0 || rows < least {
				least = rows
			}
		}
	}
	return least
}

// String returns the graph as WriteGraph writes it.
func (p *Program) String() string {
	var s strings.Builder
	_ = p.WriteGraph(&s) // a Builder never fails
	return s.String()
}

// Describe names instruction i and the weight that it reads, "linear output.weight Q6_K", or
// whose gradient it writes.
func (p *Program) Describe(i int) string {
	in := &p.Instrs[i]
	for _, v := range in.In {
		if v >= 0 && p.Operands[v].Kind == Weight {
			return fmt.Sprintf("%s %s %v", ops[in.Op].name, p.Operands[v].Name, p.Operands[v].DType)
		}
	}
	if v := in.Out[0]; v >= 0 && p.Operands[v].Kind == Gradient {
		return fmt.Sprintf("%s %s", ops[in.Op].name, p.Operands[v].Name)
	}
	return ops[in.Op].name
}

// WriteGraph writes one line per instruction: its number, the results with their
// shapes, the operation and what it reads.
func (p *Program) WriteGraph(w io.Writer) error {
	for i := range p.Instrs {
		in := &p.Instrs[i]
		line := fmt.Sprintf("%4d  %-28s %s", i, p.list(in.Out[:], p.shape), ops[in.Op].name)
		if _, err := fmt.Fprintf(w, "%-50s %s\n", line, p.list(in.In[:], p.reference)); err != nil {
			return err
		}
	}
	return nil
}

func (p *Program) list(values []int32, show func(v int32) string) string {
	var parts []string
	for _, v := range values {
		if v >= 0 {
			parts = append(parts, show(v))
		}
	}
	return strings.Join(parts, ", ")
}

// shape shows a result with its shape: "%7 [T, 64]".
func (p *Program) shape(v int32) string {
	o := &p.Operands[v]
	rows := o.Per.String()
	if o.Rows != 1 {
		rows += fmt.Sprintf("*%d", o.Rows)
	}
	s := fmt.Sprintf("%%%d [%s, %d]", v, rows, o.Cols)
	if o.DType != quant.F32 {
		s += " " + typeName(o.DType)
	}
	return s
}

// reference shows an operand that is read.
func (p *Program) reference(v int32) string {
	o := &p.Operands[v]
	switch o.Kind {
	case Weight:
		return fmt.Sprintf("%s %v [%d, %d]", o.Name, o.DType, o.Rows, o.Cols)
	case Gradient:
		return fmt.Sprintf("d(%s) [%d, %d]", o.Name, o.Rows, o.Cols)
	case View:
		return fmt.Sprintf("%%%d[:, %d:%d]", o.Base, o.From, o.From+o.Cols)
	case KeyCache:
		return fmt.Sprintf("K%d", o.From)
	case ValueCache:
		return fmt.Sprintf("V%d", o.From)
	}
	return fmt.Sprintf("%%%d", v)
}

func typeName(d quant.DType) string {
	switch d {
	case PackBF16:
		return "packed bf16"
	case PackInt8:
		return "packed int8"
	case PackRows:
		return "packed rows"
	case PackCols, PackColsF32:
		return "packed columns"
	}
	return d.String()
}
