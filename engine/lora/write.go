package lora

import (
	"encoding/json"
	"io"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/atomicfile"
	"github.com/ingot-llm/ingot/quant/safetensors"
)

// Write makes the folder dir, which must be absent or empty, of an adapter as PEFT reads
// it, in F32; base is what it says of the model that it is for: a path or a name.
func Write(dir string, a *Adapter, base string) error {
	config, err := json.MarshalIndent(newConfig(a, base), "", "  ")
	if err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	var values [][]float32
	for _, p := range a.Parts {
		name := prefix + p.Module
		tensors = append(tensors,
			safetensors.Tensor{Name: name + ".lora_A.weight", DType: "F32", Shape: []int{p.Rank, p.In}},
			safetensors.Tensor{Name: name + ".lora_B.weight", DType: "F32", Shape: []int{p.Out, p.Rank}})
		values = append(values, p.A, moved(p.B, p.Projection, p.Rank, true))
		if p.Magnitude != nil {
			tensors = append(tensors, safetensors.Tensor{Name: name + suffixM, DType: "F32", Shape: []int{p.Out}})
			values = append(values, moved(p.Magnitude, p.Projection, 1, true))
		}
	}
	return atomicfile.WriteDir(dir, int64(4*a.Elems())+maxConfig, func(d *atomicfile.Dir) error {
		if err := d.File(configFile, func(w io.Writer) error { _, err := w.Write(config); return err }); err != nil {
			return err
		}
		return d.File(weightsFile, func(w io.Writer) error {
			return safetensors.Write(w, tensors, map[string]string{"format": "pt"}, func(i int, w io.Writer) error {
				raw := make([]byte, 4*len(values[i]))
				if err := quant.Quantize(quant.F32, raw, values[i], nil); err != nil {
					return err
				}
				_, err := w.Write(raw)
				return err
			})
		})
	})
}
