// Package convert turns a model of one format into another: any Source into GGUF,
// quantized or not, and back into a Hugging Face directory. One tensor at a time is
// worked on, so memory does not grow with the model.
package convert

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/atomicfile"
	"github.com/ingot-llm/ingot/quant/gguf"
	"github.com/ingot-llm/ingot/quant/hf"
)

// Options are the choices of a conversion to GGUF; the zero value keeps every
// tensor's type and writes one file.
type Options struct {
	// Mix chooses each tensor's type; without a Name, types stay.
	Mix quant.Mix
	// AllowRequantize lets tensors that are quantized already be quantized again, which
	// costs more quality than quantizing the original.
	AllowRequantize bool
	// Importance, where it is given, returns the weights of the squared errors of a tensor's
	// columns (quant.Quantize), of stacked experts one row after another, or nil.
	Importance func(name string) []float32
	// Feedback, where it is given, returns what rounds a tensor's rows instead, or nil.
	Feedback func(name string) (*quant.Feedback, error)
	// Extra is metadata that is added to the source's or replaces it; may be nil.
	Extra *quant.Meta
	// SplitBytes is the most bytes of tensors in one file (a larger tensor has a file
	// of its own); 0 = one file.
	SplitBytes int
	// Progress is told the bytes of tensors written and those to write; may be nil. It
	// is called from the goroutine of the conversion.
	Progress func(done, total int)
}

// ToGGUF writes src as the GGUF file dst, or as several: with SplitBytes, "m.gguf"
// becomes "m-00001-of-0000N.gguf" and so on. The files appear complete or not at all.
// A source with a NaN or an infinity is refused by tensor and index. The output does
// not depend on the number of goroutines that quantize.
func ToGGUF(ctx context.Context, src quant.Source, dst string, opt Options) error {
	if !strings.HasSuffix(dst, ".gguf") {
		return fmt.Errorf("cannot convert to %q: a GGUF file's name ends in .gguf", dst)
	}
	plan, err := planGGUF(src, opt)
	if err != nil {
		return err
	}
	c := &converter{ctx: ctx, src: src, progress: opt.Progress, importance: opt.Importance, feedback: opt.Feedback}
	defer c.close()
	for _, j := range plan.jobs {
		c.total += bytesOf(j.out)
	}
	var files atomicfile.Set
	defer files.Abort()
	for no, run := range plan.runs {
		if err := plan.writeFile(c, &files, dst, no, run); err != nil {
			return err
		}
	}
	return files.Commit()
}

// job is one tensor's conversion: out has the result's name, type and shape; heads is
// the number of heads whose rows change to interleaved pairs, 0 for none.
type job struct {
	out   quant.Tensor
	heads int
}

// plan is all that a conversion to GGUF will write.
type plan struct {
	meta *quant.Meta
	jobs []job
	runs [][2]int // of jobs, one for each file
}

func planGGUF(src quant.Source, opt Options) (plan, error) {
	p := plan{meta: src.Meta().Clone()}
	arch := p.meta.String("general.architecture", "")
	permute := p.meta.String(hf.LayoutKey, "") == hf.LayoutHalf && hf.Permuted(arch)
	p.meta.Delete(hf.LayoutKey)
	typeOf := Types(src, opt.Mix, opt.Importance != nil)
	for _, t := range src.Infos() {
		j := job{out: t}
		if permute {
			j.heads = rotaryHeads(t.Name, arch, p.meta)
		}
		if j.heads > 0 && t.Shape[0]%(2*j.heads) != 0 {
			return p, fmt.Errorf("tensor %q has %d rows, which are no %d heads of even size", t.Name, t.Shape[0], j.heads)
		}
		if opt.Mix.Name != "" {
			j.out.DType = typeOf(t)
		}
		if err := allowed(t, j.out.DType, opt); err != nil {
			return p, err
		}
		p.jobs = append(p.jobs, j)
	}
	p.describe(opt)
	p.split(opt.SplitBytes)
	return p, nil
}

// Types returns what type a mix gives each tensor of a model, with importance weights or
// without.
func Types(src quant.Source, mix quant.Mix, importance bool) func(t quant.Tensor) quant.DType {
	facts := mixFacts(src)
	facts.Importance = importance
	return func(t quant.Tensor) quant.DType {
		facts.Name, facts.Shape = t.Name, t.Shape
		return mix.TypeFor(facts)
	}
}

// mixFacts returns what a mix decides by, but for the tensor itself.
func mixFacts(src quant.Source) quant.TensorFacts {
	m := src.Meta()
	arch := m.String("general.architecture", "") + "."
	heads := m.Int(arch+"attention.head_count", 1)
	isOutput := func(t quant.Tensor) bool { return t.Name == "output.weight" }
	return quant.TensorFacts{
		Layers: m.Int(arch+"block_count", 0), Experts: m.Int(arch+"expert_count", 0),
		GQA:  heads / max(m.Int(arch+"attention.head_count_kv", heads), 1),
		Tied: !slices.ContainsFunc(src.Infos(), isOutput),
	}
}

// rotaryHeads returns how many heads a tensor's rows belong to if they turn under
// RoPE, else 0.
func rotaryHeads(name, arch string, m *quant.Meta) int {
	heads := m.Int(arch+".attention.head_count", 0)
	switch {
	case strings.Contains(name, ".attn_q."):
		return heads
	case strings.Contains(name, ".attn_k."):
		return m.Int(arch+".attention.head_count_kv", heads)
	}
	return 0
}

// allowed refuses a change of type that cannot be made or was not asked for.
func allowed(t quant.Tensor, to quant.DType, opt Options) error {
	if t.DType == to {
		return nil
	}
	if !quant.CanDequantize(t.DType) || !quant.CanQuantize(to) {
		return fmt.Errorf("tensor %q cannot be converted from %v to %v", t.Name, t.DType, to)
	}
	if quantized(t.DType) && !opt.AllowRequantize {
		return fmt.Errorf("tensor %q is quantized already (%v): converting it to %v loses quality twice; take the original model, or allow requantizing", t.Name, t.DType, to)
	}
	return nil
}

// quantized reports whether a type stores blocks rather than numbers.
func quantized(d quant.DType) bool { return d.BlockElems() > 1 }

// fileTypes are GGUF's numbers (enum llama_ftype) of models that are all of one plain
// type but for their vectors.
var fileTypes = map[quant.DType]uint32{quant.F32: 0, quant.F16: 1, quant.BF16: 32}

// describe sets the metadata that tells of the types, and the extra.
func (p *plan) describe(opt Options) {
	if opt.Mix.Name != "" {
		p.meta.Set("general.file_type", opt.Mix.FileType)
	} else if !p.meta.Has("general.file_type") {
		if n, ok := fileTypes[p.largestType()]; ok {
			p.meta.Set("general.file_type", n)
		}
	}
	for _, j := range p.jobs {
		if quantized(j.out.DType) {
			p.meta.Set("general.quantization_version", uint32(2))
			break
		}
	}
	if opt.Extra == nil {
		return
	}
	for _, k := range opt.Extra.Keys() {
		p.meta.Set(k, opt.Extra.Get(k))
	}
}

// largestType returns the type that most of the bytes have.
func (p *plan) largestType() quant.DType {
	bytes := map[quant.DType]int{}
	best := quant.F32
	for _, j := range p.jobs {
		bytes[j.out.DType] += bytesOf(j.out)
		if bytes[j.out.DType] > bytes[best] {
			best = j.out.DType
		}
	}
	return best
}

// split cuts the jobs into runs of at most limit bytes, or one run if that is 0.
func (p *plan) split(limit int) {
	p.runs = [][2]int{{0, 0}}
	size := 0
	for i, j := range p.jobs {
		n := bytesOf(j.out)
		if limit > 0 && size > 0 && size+n > limit {
			p.runs = append(p.runs, [2]int{i, i})
			size = 0
		}
		size += n
		p.runs[len(p.runs)-1][1] = i + 1
	}
}

// writeFile adds file no of the plan's to the set.
func (p *plan) writeFile(c *converter, files *atomicfile.Set, dst string, no int, run [2]int) error {
	meta, path := p.meta, dst
	if n := len(p.runs); n > 1 {
		meta = &quant.Meta{}
		if no == 0 {
			meta = p.meta.Clone()
		}
		meta.Set("split.no", uint16(no))
		meta.Set("split.count", uint16(n))
		meta.Set("split.tensors.count", int32(len(p.jobs)))
		path = filepath.Join(filepath.Dir(dst), gguf.SplitName(strings.TrimSuffix(filepath.Base(dst), ".gguf"), no+1, n))
	}
	jobs := p.jobs[run[0]:run[1]]
	infos := make([]quant.Tensor, len(jobs))
	for i, j := range jobs {
		infos[i] = j.out
	}
	size, err := gguf.Size(meta, infos)
	if err != nil {
		return err
	}
	return files.Add(path, int64(size), func(w io.Writer) error {
		return gguf.Write(w, meta, infos, func(i int, w io.Writer) error { return c.write(w, jobs[i]) })
	})
}

// bytesOf returns a tensor's bytes by type and shape.
func bytesOf(t quant.Tensor) int { return t.Rows() * t.DType.RowBytes(t.Cols()) }
