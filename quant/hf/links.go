package hf

import (
	"iter"
	"strconv"
	"strings"
)

// links yields a rule's links for all layers and experts, without shapes yet.
func (r rule) links(m model) iter.Seq[link] {
	layers, experts := 1, 1
	if strings.Contains(r.gguf, "{l}") {
		layers = m.layers
	}
	if strings.Contains(r.hf, "{e}") {
		experts = m.experts
	}
	return func(yield func(link) bool) {
		for l := range layers {
			for e := range experts {
				names := strings.NewReplacer("{l}", strconv.Itoa(l), "{e}", strconv.Itoa(e))
				if !yield(link{form: r.form, expert: e, gguf: names.Replace(r.gguf), hf: names.Replace(r.hf)}) {
					return
				}
			}
		}
	}
}
