package hf

import (
	"slices"

	"github.com/ingot-llm/ingot/quant"
)

// Metadata keys of our own for what GGUF says by the architecture's name alone: each
// layer's window (0 = full attention), and the layers without rotary embedding (1).
const (
	windowKey = "ingot.attention.window"
	skipKey   = "ingot.rope.skip"
)

// windowRule says which layers have the sliding window where config.json has no
// layer_types.
type windowRule int

const (
	noWindow    windowRule = iota
	everyLayer             // Mistral, Mixtral, Phi-3
	alternate              // the even layers: Gemma 2, gpt-oss
	lastOfSix              // all but every n-th: Gemma 3
	upperLayers            // from max_window_layers on, if use_sliding_window: Qwen
)

// windows returns each layer's window, or nil if no layer has one.
func (f *family) windows(c *config, layers int) []int32 {
	size := int32(c.count("sliding_window", 0))
	if size == 0 || f.window == noWindow && !c.has("layer_types") {
		return nil
	}
	if f.window == upperLayers && !c.flag("use_sliding_window", false) {
		size = 0
	}
	out := make([]int32, layers)
	for l := range out {
		if f.sliding(c, l) {
			out[l] = size
		}
	}
	if !slices.ContainsFunc(out, func(w int32) bool { return w > 0 }) {
		return nil
	}
	return out
}

// sliding reports whether a layer has the window.
func (f *family) sliding(c *config, l int) bool {
	if types := c.texts("layer_types"); len(types) > 0 {
		return l < len(types) && types[l] == "sliding_attention"
	}
	switch f.window {
	case everyLayer:
		return true
	case alternate:
		return l%2 == 0
	case lastOfSix:
		n := c.count("sliding_window_pattern", c.count("_sliding_window_pattern", 6))
		return n == 0 || (l+1)%n != 0
	case upperLayers:
		return l >= c.count("max_window_layers", 28)
	}
	return false
}

// readWindows puts the windows into the metadata: GGUF's size, its pattern where full
// attention comes every n-th layer, and ours.
func (f *family) readWindows(c *config, layers int, m *quant.Meta) {
	for i, t := range c.texts("layer_types") {
		if t != "sliding_attention" && t != "full_attention" {
			c.fail("layer_types[%d] is %q, which is not supported (supported: sliding_attention, full_attention)", i, t)
		}
	}
	if n := len(c.texts("layer_types")); n > 0 && n != layers {
		c.fail("layer_types has %d entries for %d layers", n, layers)
	}
	w := f.windows(c, layers)
	if w == nil && f.arch == "phi3" {
		m.Set("phi3.attention.sliding_window", uint32(0)) // llama.cpp takes 2047 for some sizes without it
	}
	if w == nil {
		return
	}
	m.Set(f.arch+".attention.sliding_window", uint32(slices.Max(w)))
	if n := period(w); n > 1 {
		m.Set(f.arch+".attention.sliding_window_pattern", uint32(n))
	}
	m.Set(windowKey, w)
}

// period returns n if every n-th layer and no other is full, 0 if none is regular so.
func period(w []int32) int {
	n := slices.Index(w, 0) + 1
	for l, size := range w {
		if n == 0 || (size == 0) != ((l+1)%n == 0) {
			return 0
		}
	}
	return n
}

// readSkips puts SmolLM3's layers without rotary embedding into the metadata.
func (f *family) readSkips(c *config, layers int, m *quant.Meta) {
	if f.modelType != "smollm3" {
		return
	}
	skip := make([]int32, layers)
	turns := c.numbers("no_rope_layers")
	if len(turns) != 0 && len(turns) != layers {
		c.fail("no_rope_layers has %d entries for %d layers", len(turns), layers)
		return
	}
	every := c.count("no_rope_layer_interval", 4)
	for l := range skip {
		if len(turns) > 0 && turns[l] == 0 || len(turns) == 0 && every > 0 && (l+1)%every == 0 {
			skip[l] = 1
		}
	}
	m.Set(skipKey, skip)
}
