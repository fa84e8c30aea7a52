package train

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/train/bpe"
)

// tokenizerReport is what train tokenizer prints.
type tokenizerReport struct {
	Tokens        int         `json:"tokens"` // in the vocabulary
	Words         int         `json:"distinct_words"`
	Bytes         int64       `json:"bytes"`       // of the text, special tokens left out
	Output        int64       `json:"text_tokens"` // that the text became
	BytesPerToken float64     `json:"bytes_per_token"`
	Seconds       float64     `json:"seconds"`
	Merges        []mergeLine `json:"first_merges"`
}

// mergeLine is a merge in the writing of tokenizer.json.
type mergeLine struct {
	Left  string `json:"left"`
	Right string `json:"right"`
	Count int64  `json:"count"`
}

// shownMerges is how many merges a report shows.
const shownMerges = 10

func newTokenizerReport(m *bpe.Model, words int, took time.Duration) tokenizerReport {
	r := tokenizerReport{Tokens: len(m.Tokens), Words: words, Bytes: m.Bytes, Output: m.Output,
		BytesPerToken: float64(m.Bytes) / float64(max(m.Output, 1)), Seconds: math.Round(took.Seconds()*100) / 100}
	for _, g := range m.Merges[:min(shownMerges, len(m.Merges))] {
		r.Merges = append(r.Merges, mergeLine{tokenizer.ByteLevelText(m.Tokens[g.Left]), tokenizer.ByteLevelText(m.Tokens[g.Right]), g.Count})
	}
	return r
}

func (r tokenizerReport) write(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(r)
	}
	fmt.Fprintf(out, "%d tokens from %d distinct words in %.2f s: %.3f bytes a token on the text itself\n", r.Tokens, r.Words, r.Seconds, r.BytesPerToken)
	for _, g := range r.Merges {
		fmt.Fprintf(out, "%12d  %s %s\n", g.Count, g.Left, g.Right)
	}
	return nil
}
