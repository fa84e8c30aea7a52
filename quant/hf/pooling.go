package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ingot-llm/ingot/quant"
)

// normalizeKey is a metadata key of our own: the model's embeddings are scaled to
// length 1. GGUF leaves that to the program.
const normalizeKey = "ingot.pooling.normalize"

// GGUF's numbers of the ways to pool.
const (
	poolingMean = 1
	poolingCLS  = 2
	poolingLast = 3
	poolingRank = 4
)

// poolingModes ties sentence-transformers' settings to GGUF's numbers.
var poolingModes = []struct {
	field string
	kind  uint32
}{
	{"pooling_mode_mean_tokens", poolingMean}, {"pooling_mode_cls_token", poolingCLS}, {"pooling_mode_lasttoken", poolingLast},
}

// module is an entry of sentence-transformers' modules.json.
type module struct {
	Path string `json:"path"`
	Type string `json:"type"`
}

// readPooling reads how an embedding model's hidden states become one vector, as
// modules.json says. A directory without that file leaves it open; a module that is
// not supported is refused.
func readPooling(dir string, f *family, m *quant.Meta) error {
	raw, err := readText(filepath.Join(dir, "modules.json"))
	if f.arch != "bert" || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var modules []module
	if err := json.Unmarshal(raw, &modules); err != nil {
		return fmt.Errorf("modules.json: %w", err)
	}
	m.Set(normalizeKey, false)
	for _, x := range modules {
		switch kind := x.Type[strings.LastIndexByte(x.Type, '.')+1:]; kind {
		case "Transformer":
		case "Normalize":
			m.Set(normalizeKey, true)
		case "Pooling":
			if err := readPoolingMode(dir, x.Path, m); err != nil {
				return err
			}
		default:
			return fmt.Errorf("modules.json: module %q is not supported (supported: Transformer, Pooling, Normalize)", x.Type)
		}
	}
	return nil
}

// readPoolingMode reads a pooling module, which must have exactly one mode.
func readPoolingMode(dir, path string, m *quant.Meta) error {
	if !filepath.IsLocal(path) {
		return fmt.Errorf("modules.json: %q is no folder of the model", path)
	}
	c, err := readConfig(filepath.Join(dir, path, "config.json"))
	if err != nil {
		return err
	}
	var set []string
	for field := range c.fields {
		if strings.HasPrefix(field, "pooling_mode_") && c.flag(field, false) {
			set = append(set, field)
		}
	}
	for _, mode := range poolingModes {
		if len(set) == 1 && set[0] == mode.field {
			m.Set("bert.pooling_type", mode.kind)
			return c.err
		}
	}
	c.fail("the pooling %v is not supported (supported: one of mean_tokens, cls_token, lasttoken)", set)
	return c.err
}

// pooling adds sentence-transformers' modules to the files of a directory.
func (x *exporter) pooling(out map[string]any) error {
	kind := x.meta.Int("bert.pooling_type", -1)
	modes := map[string]any{"word_embedding_dimension": x.key("embedding_length")}
	known := false
	for _, m := range poolingModes {
		modes[m.field] = int(m.kind) == kind
		known = known || int(m.kind) == kind
	}
	if !known {
		return fmt.Errorf("bert.pooling_type %d has no form in a model directory", kind)
	}
	out["1_Pooling/config.json"] = modes
	const library = "sentence_transformers.models."
	list := []map[string]any{
		{"idx": 0, "name": "0", "path": "", "type": library + "Transformer"},
		{"idx": 1, "name": "1", "path": "1_Pooling", "type": library + "Pooling"},
	}
	if x.meta.Bool(normalizeKey, false) {
		list = append(list, map[string]any{"idx": 2, "name": "2", "path": "2_Normalize", "type": library + "Normalize"})
	}
	out["modules.json"] = list
	return nil
}
