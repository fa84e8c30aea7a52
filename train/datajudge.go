package train

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/train/chatdata"
	"github.com/ingot-llm/ingot/train/corpus"
	"github.com/ingot-llm/ingot/train/dedup"
	"github.com/ingot-llm/ingot/train/quality"
	"github.com/ingot-llm/ingot/train/words"
)

// judge looks at each document alone. It is safe for concurrent use.
type judge struct {
	*dataOptions
	filter *quality.Filter
	desks  sync.Pool // of *desk
}

// desk is the memory in which one goroutine judges.
type desk struct {
	words []words.Word
	quality.Judge
}

func newJudge(o *dataOptions) (*judge, error) {
	filter, err := quality.New(o.filters)
	return &judge{dataOptions: o, filter: filter, desks: sync.Pool{New: func() any { return &desk{} }}}, err
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
	if doc.reason = j.unfit(d, text); doc.reason == "" && j.dedup == "exact" {
		doc.key = dedup.KeyOf(doc.Text)
	}
}

func (j *judge) parseChat(line string) (chatdata.Conversation, error) {
	if j.ask != "" {
		return chatdata.Ask([]byte(line), j.ask, j.field)
	}
	return chatdata.Parse([]byte(line))
}

// unfit returns why a text is dropped, "" if it is not.
func (j *judge) unfit(d *desk, text string) string {
	switch {
	case text == "":
		return "empty"
	case len(text) < j.minChars || j.minChars > 0 && utf8.RuneCountInString(text) < j.minChars:
		return "short"
	case j.maxChars > 0 && len(text) > j.maxChars && utf8.RuneCountInString(text) > j.maxChars:
		return "long"
	case len(j.filters) == 0:
		return ""
	}
	d.words = words.Split(d.words[:0], text)
	return j.filter.Broken(&d.Judge, text, d.words)
}
