package cli

import (
	"io"
	"sync"

	"github.com/ingot-llm/ingot/engine"
)

// reading shows how far the model has read a long prompt, until its answer begins. The
// engine's loop and the reader of the answer both use it; nil shows nothing.
type reading struct {
	out io.Writer // the command's stderr

	mu          sync.Mutex
	progress    *Progress // nil while nothing is read
	done, total int64     // tokens
}

// begin starts to show a prompt of so many tokens.
func (r *reading) begin(tokens int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress, r.done, r.total = NewProgress(r.out, "reading the prompt", false), 0, int64(tokens)
}

// step counts what the engine has read in a step. It is an observer of the engine.
func (r *reading) step(s engine.StepStats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = min(r.done+int64(s.PrefillRows), r.total)
	r.progress.Set(r.done, r.total)
}

// end takes the progress away.
func (r *reading) end() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress.Done()
	r.progress = nil
}
