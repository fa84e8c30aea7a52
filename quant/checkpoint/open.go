// Package checkpoint opens a model whatever its format, and describes it.
package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/builtin"
	"github.com/ingot-llm/ingot/quant/gguf"
	"github.com/ingot-llm/ingot/quant/hf"
	"github.com/ingot-llm/ingot/quant/llama2c"
)

// Accepted says what Open takes, for messages.
const Accepted = "a GGUF file, a folder with one GGUF file, a Hugging Face model folder (config.json and model.safetensors), " +
	"a llama2.c .bin file with its tokenizer tok*.bin beside it (or the folder of both), or builtin"

// Open opens the model at path: a file or a folder, as Accepted lists, or where there is
// none of that name the model inside the program, "builtin". The Source is the caller's to
// close.
func Open(path string) (quant.Source, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) && path == builtin.Name {
		return builtin.Open()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open model: %w", err)
	}
	if info.IsDir() {
		return openDir(path)
	}
	return openFile(path)
}

func openFile(path string) (quant.Source, error) {
	if gguf.IsGGUF(path) {
		return gguf.Open(path)
	}
	name := filepath.Base(path)
	if name == "config.json" || strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".safetensors.index.json") {
		dir := filepath.Dir(path)
		if hf.IsDir(dir) {
			return hf.Open(dir)
		}
		return nil, fmt.Errorf("cannot open %q: there is no config.json beside it (accepted: %s)", path, Accepted)
	}
	if strings.HasSuffix(name, ".bin") {
		model, tokenizer, ok := llama2c.Find(path)
		if !ok {
			return nil, fmt.Errorf("cannot open %q: a llama2.c model needs exactly one tokenizer file tok*.bin beside it (accepted: %s)", path, Accepted)
		}
		return llama2c.Open(model, tokenizer)
	}
	return nil, fmt.Errorf("cannot open %q: it is no GGUF file and no other model file that is known (accepted: %s)", path, Accepted)
}

func openDir(dir string) (quant.Source, error) {
	ggufs, err := ggufFiles(dir)
	if err != nil {
		return nil, err
	}
	model, tokenizer, isLlama2c := llama2c.Find(dir)
	switch {
	case hf.IsDir(dir):
		return hf.Open(dir)
	case len(ggufs) == 1:
		return gguf.Open(filepath.Join(dir, ggufs[0]))
	case len(ggufs) > 1:
		return nil, fmt.Errorf("cannot open %q: it holds %d GGUF models (%s); name one", dir, len(ggufs), strings.Join(ggufs, ", "))
	case isLlama2c:
		return llama2c.Open(model, tokenizer)
	}
	return nil, fmt.Errorf("cannot open %q: no model is in this folder, which holds %s (accepted: %s)", dir, contents(dir), Accepted)
}

// later matches all files of a split model but the first.
var later = regexp.MustCompile(`-\d{5}-of-\d{5}\.gguf$`)

// ggufFiles lists a folder's GGUF models, a split one by its first file.
func ggufFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open model: %w", err)
	}
	var out []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".gguf") || later.MatchString(name) && !strings.Contains(name, "-00001-of-") {
			continue
		}
		out = append(out, name)
	}
	return out, nil
}

// contents names a few of a folder's entries.
func contents(dir string) string {
	entries, _ := os.ReadDir(dir)
	if len(entries) == 0 {
		return "nothing"
	}
	var names []string
	for _, e := range entries[:min(len(entries), 5)] {
		names = append(names, e.Name())
	}
	if len(entries) > len(names) {
		names = append(names, fmt.Sprintf("and %d more", len(entries)-len(names)))
	}
	return strings.Join(names, ", ")
}
