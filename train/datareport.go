package train

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/ingot-llm/ingot/quant/atomicfile"
)

// dataReport says what became of the documents. Its methods are safe for concurrent use.
type dataReport struct {
	mu      sync.Mutex
	Read    amount              `json:"read"`
	Dropped map[string]*dropped `json:"dropped,omitempty"`       // by the reason
	Lines   int64               `json:"lines_dropped,omitempty"` // of documents that stay
	Train   part                `json:"train"`
	Valid   part                `json:"valid"`
	Notes   []string            `json:"notes,omitempty"` // on what was not looked at
}

// amount counts documents and the bytes of their text.
type amount struct {
	Documents int64 `json:"documents"`
	Bytes     int64 `json:"bytes"`
}

func (a *amount) add(bytes int) {
	a.Documents++
	a.Bytes += int64(bytes)
}

// dropped are the documents left out for one reason, and the first of them.
type dropped struct {
	amount
	Samples []droppedSample `json:"samples,omitempty"`
}

type droppedSample struct {
	Path string `json:"path,omitempty"`
	Line int    `json:"line,omitempty"`
	Note string `json:"note,omitempty"` // such as an error
	Text string `json:"text,omitempty"` // its beginning
}

type part struct {
	Documents int64 `json:"documents"`
	Tokens    int64 `json:"tokens"`
	Bytes     int64 `json:"bytes"`
	Shards    int   `json:"shards"`
}

// How many dropped documents a report shows for a reason, and how many runes of them.
const (
	maxSamples  = 5
	sampleRunes = 200
)

func (r *dataReport) read(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Read.add(bytes)
}

// drop counts a document that is left out, and reports whether it becomes a sample.
func (r *dataReport) drop(reason string, s droppedSample) (shown bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Dropped == nil {
		r.Dropped = map[string]*dropped{}
	}
	d := r.Dropped[reason]
	if d == nil {
		d = &dropped{}
		r.Dropped[reason] = d
	}
	d.add(len(s.Text))
	if shown = len(d.Samples) < maxSamples; shown {
		s.Text = beginning(s.Text)
		d.Samples = append(d.Samples, s)
	}
	return shown
}

// beginning returns the first runes of a text, copied out of it.
func beginning(text string) string {
	n := 0
	for at := range text {
		if n++; n > sampleRunes {
			return strings.Clone(text[:at]) + "..."
		}
	}
	return strings.Clone(text)
}

// reasons returns those that dropped most first.
func (r *dataReport) reasons() []string {
	names := slices.Sorted(maps.Keys(r.Dropped))
	slices.SortStableFunc(names, func(a, b string) int { return int(r.Dropped[b].Documents - r.Dropped[a].Documents) })
	return names
}

// print writes the table of what was kept and dropped.
func (r *dataReport) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(what string, a amount, tokens string) {
		share := 100 * float64(a.Documents) / float64(max(r.Read.Documents, 1))
		fmt.Fprintf(w, "%s\t%d\t%.2f %%\t%.2f MB\t%s\t\n", what, a.Documents, share, float64(a.Bytes)/1e6, tokens)
	}
	fmt.Fprint(w, "\tdocuments\tshare\ttext\ttokens\t\n")
	row("read", r.Read, "")
	for _, reason := range r.reasons() {
		row("dropped: "+reason, r.Dropped[reason].amount, "")
	}
	row("train", r.Train.amount(), r.Train.tokens())
	row("valid", r.Valid.amount(), r.Valid.tokens())
	if err := w.Flush(); err != nil {
		return err
	}
	if r.Lines > 0 {
		fmt.Fprintf(out, "%d lines were taken out of documents that stay\n", r.Lines)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(out, note)
	}
	return nil
}

func (p part) amount() amount { return amount{p.Documents, p.Bytes} }

func (p part) tokens() string {
	return fmt.Sprintf("%d (%.2f bytes each)", p.Tokens, float64(p.Bytes)/float64(max(p.Tokens, 1)))
}

func (r *dataReport) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, int64(len(text)), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}
