package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// Traced is one request of a trace: a line of JSON with the fields of the Mooncake
// traces (Qin et al. 2024).
type Traced struct {
	Millis float64 `json:"timestamp"`     // from the trace's start
	Prompt int     `json:"input_length"`  // tokens
	Output int     `json:"output_length"` // tokens
	// Blocks name the prompt's blocks of 512 tokens; where two prompts begin with the
	// same names they begin with the same tokens. Empty: nothing is shared.
	Blocks []uint64 `json:"hash_ids"`
}

// traceBlock is the tokens of a block that hash_ids name.
const traceBlock = 512

// Bounds of a trace, of which a file may hold anything.
const (
	maxTraced    = 1 << 22
	maxTraceLine = 8 << 20
)

// ReadTrace reads a trace, a request a line; an error names the line.
func ReadTrace(r io.Reader) ([]Traced, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxTraceLine)
	var out []Traced
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var t Traced
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			return nil, fmt.Errorf("line %d of the trace: %w", n, err)
		}
		if err := t.check(out); err != nil {
			return nil, fmt.Errorf("line %d of the trace: %w", n, err)
		}
		out = append(out, t)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the trace: %w", err)
	}
	if len(out) == 0 {
		return nil, errors.New("the trace has no request")
	}
	return out, nil
}

// check holds t against its bounds and against the lines before it.
func (t *Traced) check(before []Traced) error {
	const year = 365 * 24 * 3600 * 1000
	switch {
	case !(t.Millis >= 0 && t.Millis <= year):
		return fmt.Errorf("timestamp is %v, want milliseconds from the start", t.Millis)
	case len(before) > 0 && t.Millis < before[len(before)-1].Millis:
		return fmt.Errorf("timestamp is %v, before the %v of the line before", t.Millis, before[len(before)-1].Millis)
	case t.Prompt < 1 || t.Prompt > maxLength || t.Output < 1 || t.Output > maxLength:
		return fmt.Errorf("input_length is %d and output_length %d, want 1 to %d", t.Prompt, t.Output, maxLength)
	case len(before) >= maxTraced:
		return fmt.Errorf("a trace has at most %d requests", maxTraced)
	}
	return nil
}

// Replay returns the trace's arrivals, speed times as fast, once.
func Replay(trace []Traced, speed float64) Arrivals {
	return func(yield func(time.Duration) bool) {
		for i := range trace {
			if !yield(time.Duration(trace[i].Millis / speed * float64(time.Millisecond))) {
				return
			}
		}
	}
}

// prompt returns the request's tokens: those of its blocks, then its own.
func (t *Traced) prompt(vocab int) []int {
	out := make([]int, 0, t.Prompt)
	for _, block := range t.Blocks {
		out = appendTokens(out, rand.New(rand.NewPCG(prefixSeed, block)), min(traceBlock, t.Prompt-len(out)), vocab)
	}
	own := rand.New(rand.NewPCG(uint64(t.Millis*1000), uint64(t.Prompt)))
	return appendTokens(out, own, t.Prompt-len(out), vocab)
}
