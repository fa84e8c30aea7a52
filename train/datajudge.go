package train

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/train/chatdata"
	"github.com/ingot-llm/ingot/train/contam"
	"github.com/ingot-llm/ingot/train/corpus"
	"github.com/ingot-llm/ingot/train/dedup"
	"github.com/ingot-llm/ingot/train/quality"
	"github.com/ingot-llm/ingot/train/words"
)

// judge looks at each document alone. It is safe for concurrent use.
type judge struct {
	*dataOptions
	filter *quality.Filter
	near   *dedup.Near   // nil, or what makes sketches
	tasks  *contam.Index // nil, or what may not be trained on
	desks  sync.Pool     // of *desk
}

// desk is the memory in which one goroutine judges.
type desk struct {
	words []words.Word
	quality.Judge
}

func newJudge(o *dataOptions) (*judge, error) {
	filter, err := quality.New(o.filters)
	if err != nil {
		return nil, cli.Usagef("--filter: %w", err)
	}
	j := &judge{dataOptions: o, filter: filter, desks: sync.Pool{New: func() any { return &desk{} }}}
	if o.dedup == "near" {
		j.near = dedup.NewNear(o.similarity, o.dedupBytes()/8*7)
	}
	if len(o.tasks) > 0 {
		j.tasks, err = contam.Open(o.tasks)
	}
	return j, err
}

func (o *dataOptions) dedupBytes() int64 { return int64(o.memory * (1 << 30)) }

// newExact returns the index of the texts' keys; nil if none is wanted.
func (o *dataOptions) newExact() *dedup.Exact {
	switch o.dedup {
	case "exact":
		return dedup.NewExact(o.dedupBytes())
	case "near":
		return dedup.NewExact(o.dedupBytes() / 8)
	}
	return nil
}

// batch judges the documents in place.
func (j *judge) batch(batch []document) []document {
	d := j.desks.Get().(*desk)
	defer j.desks.Put(d)
	for i := range batch {
		if doc := &batch[i]; doc.err == nil {
			j.document(d, doc)
		}
	}
	return batch
}

func (j *judge) document(d *desk, doc *document) {
	doc.Text = strings.TrimSpace(doc.Text)
	text := doc.Text
	doc.size = len(text)
	if j.chats() && text != "" {
		talk, err := j.parseChat(text)
		if err != nil {
			doc.err = &corpus.DocumentError{Path: doc.path, Line: doc.Line, Err: err}
			return
		}
		doc.talk, text = &talk, talk.Text()
	}
	if j.filter.TakesLines() {
		text, doc.lines = j.filter.Trim(text)
		doc.Text = text
	}
	if doc.reason = j.misfit(text); doc.reason != "" {
		return
	}
	if len(j.filters) > 0 || j.near != nil || j.tasks != nil {
		d.words = words.Split(d.words[:0], text)
	}
	if doc.reason = j.filter.Broken(&d.Judge, text, d.words); doc.reason != "" {
		return
	}
	if j.tasks != nil {
		if name, from, to := j.tasks.Find(d.words); name != "" {
			doc.reason, doc.note = "text of "+name, text[d.words[from].From:d.words[to].To]
			return
		}
	}
	if j.dedup != "none" {
		doc.key = dedup.KeyOf(doc.Text)
	}
	if j.near != nil {
		doc.sketch = j.near.Sketch(d.words)
	}
}

func (j *judge) parseChat(line string) (chatdata.Conversation, error) {
	if j.ask != "" {
		return chatdata.Ask([]byte(line), j.ask, j.field)
	}
	return chatdata.Parse([]byte(line))
}

// misfit returns why a text is dropped for its length, "" if it is not.
func (j *judge) misfit(text string) string {
	switch {
	case text == "":
		return "empty"
	case len(text) < j.minChars || j.minChars > 0 && utf8.RuneCountInString(text) < j.minChars:
		return "short"
	case j.maxChars > 0 && len(text) > j.maxChars && utf8.RuneCountInString(text) > j.maxChars:
		return "long"
	}
	return ""
}
