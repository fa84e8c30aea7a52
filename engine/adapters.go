package engine

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/engine/lora"
	"github.com/ingot-llm/ingot/kernels"
)

// Adapter is an adapter that an engine's model goes with where a request names it.
type Adapter struct {
	Name string
	*lora.Adapter
}

// openAdapters opens what --lora names, and returns what the program is built with: nil
// where there are no adapters.
func (m *opened) openAdapters(o *Options) (func(kernels.Tensor) kernels.LowRank, error) {
	all := slices.Clone(o.Adapters)
	for _, arg := range o.LoRA {
		a, err := m.openAdapter(arg)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	if len(all) == 0 {
		return nil, nil
	}
	var parts []*lora.Adapter
	for _, a := range all {
		if slices.Contains(m.info.Adapters, a.Name) {
			return nil, fmt.Errorf("two adapters have the name %q: name one of them otherwise (--lora name=folder)", a.Name)
		}
		m.info.Adapters, parts = append(m.info.Adapters, a.Name), append(parts, a.Adapter)
	}
	var err error
	if m.stack, err = lora.NewStack(m.table, m.source, parts); err != nil {
		return nil, err
	}
	return m.stack.Of, nil
}

// openAdapter opens name=folder; a folder alone gives its own name.
func (m *opened) openAdapter(arg string) (a Adapter, err error) {
	name, dir, named := strings.Cut(arg, "=")
	if !named {
		name, dir = filepath.Base(filepath.Clean(arg)), arg
	}
	if name == "" || dir == "" {
		return a, fmt.Errorf("--lora is %q, want name=folder", arg)
	}
	a.Name = name
	a.Adapter, err = lora.Open(dir, m.source)
	return a, err
}

// adapter returns the number of an adapter in a batch, 0 where there is none of the name.
func (e *Engine) adapter(name string) int32 { return int32(slices.Index(e.cfg.Adapters, name) + 1) }
