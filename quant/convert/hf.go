package convert

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/atomicfile"
	"github.com/ingot-llm/ingot/quant/hf"
	"github.com/ingot-llm/ingot/quant/mmap"
	"github.com/ingot-llm/ingot/quant/safetensors"
)

// HFOptions are the choices of a conversion to a Hugging Face directory.
type HFOptions struct {
	// Type is the matrices' type, "F32", "F16" or "BF16"; "" = that of most of the
	// source's, BF16 if those are quantized. Vectors have it too where it holds them
	// exactly, else F32. MXFP4 experts of gpt-oss stay as they are.
	Type string
	// ShardBytes is the most bytes of tensors in one file; 0 = one file.
	ShardBytes int
	// Progress is told the bytes of tensors written and those to write; may be nil.
	Progress func(done, total int)
}

// ToHF writes src as the Hugging Face model directory dir, which must be absent or
// empty: config.json, safetensors, and the tokenizer's files where the metadata has a
// tokenizer.json. The directory appears complete or not at all.
func ToHF(ctx context.Context, src quant.Source, dir string, opt HFOptions) error {
	float, err := floatType(src, opt.Type)
	if err != nil {
		return err
	}
	x, err := hf.NewExport(src, float)
	if err != nil {
		return fmt.Errorf("cannot convert to a Hugging Face directory: %w", err)
	}
	runs, err := safetensors.Shards(x.Tensors, opt.ShardBytes)
	if err != nil {
		return err
	}
	e := &exporter{ctx: ctx, src: src, export: x, progress: opt.Progress}
	defer e.close()
	for _, t := range x.Tensors {
		n, _ := t.Bytes()
		e.total += n
	}
	return atomicfile.WriteDir(dir, int64(e.total)+1<<20, func(d *atomicfile.Dir) error {
		return e.writeDir(d, runs)
	})
}

func floatType(src quant.Source, name string) (quant.DType, error) {
	if name != "" {
		d, err := quant.ParseDType(name)
		if err != nil || d != quant.F32 && d != quant.F16 && d != quant.BF16 {
			return d, fmt.Errorf("a Hugging Face directory has tensors of type F32, F16 or BF16, not %q", name)
		}
		return d, nil
	}
	bytes := map[quant.DType]int{}
	best := quant.F32
	for _, t := range src.Infos() {
		bytes[t.DType] += bytesOf(t)
		if bytes[t.DType] > bytes[best] {
			best = t.DType
		}
	}
	if best == quant.F32 || best == quant.F16 {
		return best, nil
	}
	return quant.BF16, nil
}

// exporter carries the state of one conversion through its tensors.
type exporter struct {
	ctx         context.Context
	src         quant.Source
	export      *hf.Export
	progress    func(done, total int)
	done, total int
	made        [3][]byte    // off the Go heap: a tensor of the source, it decoded, the result
	last        quant.Tensor // in made[0] or the source's file; experts follow one another
}

func (e *exporter) close() {
	for _, b := range e.made {
		mmap.Free(b)
	}
}

func (e *exporter) writeDir(d *atomicfile.Dir, runs [][2]int) error {
	for _, name := range slices.Sorted(maps.Keys(e.export.Files)) {
		if err := d.File(name, whole(e.export.Files[name])); err != nil {
			return err
		}
	}
	for no, run := range runs {
		tensors := e.export.Tensors[run[0]:run[1]]
		err := d.File(safetensors.ShardName(no+1, len(runs)), func(w io.Writer) error {
			return safetensors.Write(w, tensors, map[string]string{"format": "pt"}, func(i int, w io.Writer) error {
				return e.write(w, run[0]+i)
			})
		})
		if err != nil {
			return err
		}
	}
	if len(runs) == 1 {
		return nil
	}
	index, err := safetensors.Index(e.export.Tensors, runs)
	if err != nil {
		return err
	}
	return d.File(safetensors.IndexName, whole(index))
}

func whole(b []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(b); return err }
}

// write makes tensor i and writes it.
func (e *exporter) write(w io.Writer, i int) error {
	if err := e.ctx.Err(); err != nil {
		return err
	}
	t := e.export.Tensors[i]
	n, err := t.Bytes()
	if err != nil {
		return err
	}
	out, err := e.memory(2, n)
	if err != nil {
		return err
	}
	for _, p := range e.export.Pieces(i) {
		if err := e.piece(out, t, p); err != nil {
			return err
		}
	}
	e.done += n
	if e.progress != nil {
		e.progress(e.done, e.total)
	}
	_, err = w.Write(out)
	return err
}

// memory returns n bytes of one of the buffers, which grow as needed.
func (e *exporter) memory(which, n int) ([]byte, error) {
	if n > len(e.made[which]) {
		mmap.Free(e.made[which])
		var err error
		if e.made[which], err = mmap.Alloc(n); err != nil {
			return nil, err
		}
	}
	return e.made[which][:n], nil
}

// piece puts a piece's elements into the tensor's bytes.
func (e *exporter) piece(out []byte, to safetensors.Tensor, p hf.Piece) error {
	t, err := e.load(p)
	if err != nil {
		return err
	}
	if p.MXFP4.Blocks || p.MXFP4.Scales {
		p.MXFP4.Unpack(out, t)
		return nil
	}
	d, err := quant.ParseDType(to.DType)
	if err != nil {
		return err
	}
	decoded, err := e.memory(1, t.Rows()*d.RowBytes(t.Cols()))
	if err != nil {
		return err
	}
	if err := recode(d, decoded, t, p.Plus); err != nil {
		return err
	}
	p.Move.Copy(out, decoded, d.BlockBytes())
	return nil
}

// load returns the tensor of the source that a piece is of, or its one expert.
func (e *exporter) load(p hf.Piece) (quant.Tensor, error) {
	if e.last.Name != p.Name {
		e.last = quant.Tensor{}
		t, err := e.fetch(p.Name)
		if err != nil {
			return t, err
		}
		e.last = t
	}
	t := e.last
	if p.Expert >= 0 {
		n := len(t.Data) / t.Shape[0]
		t.Data, t.Shape = t.Data[p.Expert*n:][:n], t.Shape[1:]
	}
	return t, nil
}

func (e *exporter) fetch(name string) (quant.Tensor, error) {
	if m, ok := e.src.(maker); ok {
		return m.Once(name, func(n int) ([]byte, error) { return e.memory(0, n) })
	}
	return e.src.Tensor(name)
}

// recode writes t's values less minus as type d.
func recode(d quant.DType, dst []byte, t quant.Tensor, minus float32) error {
	values := make([]float32, t.Cols())
	in, out := t.DType.RowBytes(len(values)), d.RowBytes(len(values))
	for r := range t.Rows() {
		quant.Dequantize(t.DType, values, t.Data[r*in:][:in])
		if err := finite(t.Name, values, r*len(values)); err != nil {
			return err
		}
		for i := range values {
			values[i] -= minus
		}
		if err := quant.Quantize(d, dst[r*out:][:out], values, nil); err != nil {
			return fmt.Errorf("tensor %q, row %d: %w", t.Name, r, err)
		}
	}
	return nil
}
