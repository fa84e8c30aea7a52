package lora

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/hf"
	"github.com/ingot-llm/ingot/quant/safetensors"
)

// Open reads a PEFT adapter of the model in base into memory. What it asks for that is not
// done here, or what does not fit base, is an error that names it.
func Open(dir string, base quant.Source) (*Adapter, error) {
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	f, err := safetensors.Open(filepath.Join(dir, weightsFile))
	if err != nil {
		return nil, fmt.Errorf("cannot read the adapter in %q: %w", dir, err)
	}
	defer f.Close()
	a, err := read(c, f, base)
	if err != nil {
		return nil, fmt.Errorf("cannot use the adapter in %q: %w", dir, err)
	}
	return a, nil
}

func read(c *peftConfig, f *safetensors.File, base quant.Source) (*Adapter, error) {
	projections, err := hf.Projections(base)
	if err != nil {
		return nil, err
	}
	a := &Adapter{Config: Config{Rank: c.R, Alpha: c.Alpha, RSLoRA: c.RSLoRA, DoRA: c.DoRA}}
	used := map[string]bool{}
	for _, p := range projections {
		nameA, nameB := prefix+p.Module+".lora_A.weight", prefix+p.Module+".lora_B.weight"
		_, hasA := f.Lookup(nameA)
		_, hasB := f.Lookup(nameB)
		if !hasA && !hasB {
			continue
		}
		part, err := readPart(c, f, p, nameA, nameB)
		if err != nil {
			return nil, err
		}
		used[nameA], used[nameB], used[prefix+p.Module+suffixM] = true, true, c.DoRA
		a.Parts = append(a.Parts, part)
	}
	for _, t := range f.Tensors() {
		if !used[t.Name] {
			return nil, fmt.Errorf("%q is for no linear module of a %s model with %d layers", strings.TrimPrefix(t.Name, prefix),
				base.Meta().String("general.architecture", ""), base.Meta().Int(base.Meta().String("general.architecture", "")+".block_count", 0))
		}
	}
	if len(a.Parts) == 0 {
		return nil, fmt.Errorf("%s holds no tensors", weightsFile)
	}
	return a, nil
}

func readPart(c *peftConfig, f *safetensors.File, p hf.Projection, nameA, nameB string) (Part, error) {
	part := Part{Projection: p}
	a, rows, err := floats(f, nameA, 2)
	if err != nil {
		return part, err
	}
	b, _, err := floats(f, nameB, 2)
	if err != nil {
		return part, err
	}
	if c.DoRA {
		if part.Magnitude, _, err = floats(f, prefix+p.Module+suffixM, 1); err != nil {
			return part, err
		}
	}
	config := c.config(p.Module)
	if config.Rank != rows {
		return part, fmt.Errorf("%q has rank %d, but %s says %d", nameA, rows, configFile, config.Rank)
	}
	part.Rank, part.Scale, part.A = config.Rank, config.Scale(), a
	part.B = b
	if err := part.check(); err != nil {
		return part, err
	}
	part.B = moved(b, p, part.Rank, false)
	if c.DoRA {
		part.Magnitude = moved(part.Magnitude, p, 1, false)
	}
	return part, nil
}

// floats returns the elements of a matrix or a vector, as dims says, and its first dimension.
func floats(f *safetensors.File, name string, dims int) (values []float32, rows int, err error) {
	raw, ok := f.Lookup(name)
	if !ok {
		return nil, 0, fmt.Errorf("it lacks %q", name)
	}
	t, err := raw.Quant(name)
	if err != nil {
		return nil, 0, err
	}
	if len(t.Shape) != dims || t.DType.BlockElems() != 1 || !quant.CanDequantize(t.DType) {
		return nil, 0, fmt.Errorf("%q is %v of shape %v, want floats of %d dimension(s)", name, t.DType, t.Shape, dims)
	}
	values = make([]float32, t.Elems())
	quant.Dequantize(t.DType, values, t.Data)
	return values, t.Shape[0], nil
}

// moved carries rows of rank elements, B's or magnitudes, from the module's order to the Source's, or back.
func moved(b []float32, p hf.Projection, rank int, back bool) []float32 {
	m := p.Rows(rank)
	if back {
		m = m.Inverse()
	}
	from, to := make([]byte, 4*len(b)), make([]byte, 4*len(b))
	_ = quant.Quantize(quant.F32, from, b, nil) // F32 holds every value
	m.Copy(to, from, 4)
	out := make([]float32, len(b))
	quant.Dequantize(quant.F32, out, to)
	return out
}
