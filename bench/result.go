package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/ingot-llm/ingot/engine"
)

// result is one measurement. Limits are 0, and left out of JSON, where the machine could
// not be measured.
type result struct {
	Kind        string          `json:"kind"` // "prefill" or "decode"
	Model       string          `json:"model"`
	Type        string          `json:"type"`
	Table       string          `json:"table"`
	Activations string          `json:"activations"`
	KVType      string          `json:"kv_type"`
	Weights     string          `json:"weights"` // where they lie
	Threads     int             `json:"threads"`
	Batch       int             `json:"batch"`
	Prompt      int             `json:"prompt"`           // tokens
	Context     int             `json:"context,omitzero"` // tokens before the first decoded one
	Tokens      int             `json:"tokens"`           // computed in one measurement
	TokS        float64         `json:"tok_s"`
	LimitTokS   float64         `json:"limit_tok_s,omitzero"`
	LimitShare  float64         `json:"limit_share,omitzero"`
	RSS         int64           `json:"rss_bytes"`
	Profile     []operationTime `json:"profile,omitzero"`
}

// rate fills in the speed of tokens in the time took.
func (r *result) rate(tokens int, took time.Duration, limit float64) {
	r.TokS = float64(tokens) / took.Seconds()
	r.LimitTokS = limit
	if limit > 0 {
		r.LimitShare = r.TokS / limit
	}
}

// writer prints results as they come: JSON lines, or a table for people.
type writer struct {
	json  *json.Encoder
	table *tabwriter.Writer
	out   io.Writer
	rows  []result
}

func newWriter(out io.Writer, asJSON bool) *writer {
	if asJSON {
		return &writer{json: json.NewEncoder(out)}
	}
	return &writer{out: out, table: tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)}
}

func (w *writer) write(r result) error {
	if w.json != nil {
		return w.json.Encode(r)
	}
	if len(w.rows) == 0 {
		fmt.Fprintf(w.table, "%s %s, table %s, %s activations, %s cache, weights %s, %d threads\n", r.Model, r.Type, r.Table, r.Activations, r.KVType, r.Weights, r.Threads)
		fmt.Fprint(w.table, "\tbatch\ttokens\ttok/s\tlimit tok/s\tof limit\tresident\t\n")
	}
	w.rows = append(w.rows, r)
	limit, share := "unknown", "unknown"
	if r.LimitTokS > 0 {
		limit, share = fmt.Sprintf("%.1f", r.LimitTokS), fmt.Sprintf("%.0f %%", 100*r.LimitShare)
	}
	_, err := fmt.Fprintf(w.table, "%s\t%d\t%d\t%.1f\t%s\t%s\t%s\t\n", r.Kind, r.Batch, r.Tokens, r.TokS, limit, share, engine.Size(r.RSS))
	return err
}

// close prints what is left of a table.
func (w *writer) close() error {
	if w.table == nil {
		return nil
	}
	if err := w.table.Flush(); err != nil {
		return err
	}
	for _, r := range w.rows {
		if r.Profile == nil {
			continue
		}
		if err := writeProfile(w.out, r); err != nil {
			return err
		}
	}
	return nil
}
