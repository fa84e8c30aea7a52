// Package builtin holds the model inside the program, which this program trained: see
// train/recipes.
package builtin

import (
	_ "embed"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/gguf"
)

// Name is how the model is asked for where a path is.
const Name = "builtin"

//go:embed model.gguf
var file []byte

// Open returns the model. The Source is the caller's to close.
func Open() (quant.Source, error) {
	s, err := gguf.Read(file, Name)
	if err != nil {
		return nil, err
	}
	return source{s}, nil
}

// source keeps its memory, which no file could give back.
type source struct{ *gguf.Source }

// Release implements quant.Releaser.
func (source) Release() {}
