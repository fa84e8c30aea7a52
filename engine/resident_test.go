package engine

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// TestLoadWeights: copies are equal to the file's tensors, made ones (GPT-2's transposed
// matrices) included.
func TestLoadWeights(t *testing.T) {
	for _, path := range [][]string{{"stories260K"}, {"golden", "arch", "gpt2"}, {"golden", "arch", "gpt_oss"}} {
		dir := quanttest.Shared(t, append([]string{"data", "models"}, path...)...)
		want, got := openCheckpoint(t, dir), openCheckpoint(t, dir)
		got, err := loadWeights(got)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range want.Infos() {
			a, err1 := want.Tensor(info.Name)
			b, err2 := got.Tensor(info.Name)
			if err1 != nil || err2 != nil || !bytes.Equal(a.Data, b.Data) {
				t.Errorf("%v: %s differs from the file (%v, %v)", path, info.Name, err1, err2)
			}
		}
		if _, err := got.Tensor("no.such.tensor"); !errors.Is(err, quant.ErrNoTensor) {
			t.Errorf("an absent tensor gave %v", err)
		}
		if err := errors.Join(got.Close(), want.Close()); err != nil {
			t.Error(err)
		}
	}
}

func openCheckpoint(t *testing.T, dir string) quant.Source {
	t.Helper()
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return src
}
