package quant

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ingot-llm/ingot/quant/quanttest"
)

// goldenTypes returns the types in the goldens' index and the path of the folder.
func goldenTypes(t *testing.T) (map[string]json.RawMessage, string) {
	t.Helper()
	dir := quanttest.Shared(t, "data", "models", "golden", "quant")
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct{ Types map[string]json.RawMessage }
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Types) < 25 {
		t.Fatalf("the index names %d types, want at least 25", len(index.Types))
	}
	return index.Types, dir
}

// golden returns the arrays of one safetensors file, by name.
func golden(t *testing.T, path string) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	arrays := map[string][]byte{}
	for name, h := range header {
		if name != "__metadata__" {
			arrays[name] = data[8+n:][h.Offsets[0]:h.Offsets[1]]
		}
	}
	return arrays
}

func float32s(data []byte) []float32 {
	out := make([]float32, len(data)/4)
	decodeF32(out, data)
	return out
}

// requireBits fails at the first element whose bits differ.
func requireBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}

func TestDequantizeEqualsGoldens(t *testing.T) {
	types, dir := goldenTypes(t)
	for name := range types {
		t.Run(name, func(t *testing.T) {
			d, err := ParseDType(name)
			if err != nil {
				t.Fatal(err)
			}
			arrays := golden(t, filepath.Join(dir, name+".safetensors"))
			for raw, values := range map[string]string{"raw": "values", "quantized": "quantized_values"} {
				want := float32s(arrays[values])
				if len(want) == 0 && raw == "quantized" {
					continue
				}
				got := make([]float32, len(want))
				Dequantize(d, got, arrays[raw])
				requireBits(t, raw, got, want)
			}
		})
	}
}

// The integer form and Dequantize agree to the last bit, not only nearly: both come
// from the same integers and products.
func TestIntFormEqualsGoldens(t *testing.T) {
	types, dir := goldenTypes(t)
	var row IntRow // reused over types with and without offsets
	for name := range types {
		d, err := ParseDType(name)
		if err != nil {
			t.Fatal(err)
		}
		arrays := golden(t, filepath.Join(dir, name+".safetensors"))
		if IntForm(d, &row, arrays["raw"]) != HasIntForm(d) {
			t.Fatalf("%s: IntForm and HasIntForm disagree", name)
		}
		if !HasIntForm(d) {
			continue
		}
		got := make([]float32, len(row.Q))
		for i, q := range row.Q {
			got[i] = float32(row.Scale[i/row.Group] * float32(q))
			if row.Min != nil {
				got[i] -= row.Min[i/row.Group]
			}
		}
		requireBits(t, name, got, float32s(arrays["values"]))
	}
}
