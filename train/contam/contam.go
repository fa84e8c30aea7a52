// Package contam finds texts of evaluation tasks in documents, so that a model is not
// trained on what it is measured by.
package contam

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ingot-llm/ingot/train/corpus"
	"github.com/ingot-llm/ingot/train/dedup"
	"github.com/ingot-llm/ingot/train/words"
)

// Length is how many words in a row a document shares with a task's text, to be said to
// have it: as for GPT-3 (arXiv 2005.14165, appendix C).
const Length = 13

// Index knows the sequences of words of evaluation files. It is safe for concurrent use.
type Index struct {
	all   *dedup.Exact
	files []file
	rows  int
	short int // rows without a text of Length words
}

type file struct {
	name string
	set  *dedup.Exact
}

// Open reads evaluation files: of each row every text in it, however deep, by itself.
func Open(paths []string) (*Index, error) {
	files, err := corpus.Files(paths...)
	if err != nil {
		return nil, err
	}
	x := &Index{all: newSet()}
	for _, path := range files {
		f := file{filepath.Base(path), newSet()}
		for doc, err := range corpus.Read(path, "", nil) {
			if err == nil {
				err = x.add(f.set, path, doc)
			}
			if err != nil {
				return nil, fmt.Errorf("cannot read what to decontaminate against: %w", err)
			}
		}
		x.files = append(x.files, f)
	}
	if x.all.Documents() == 0 {
		return nil, fmt.Errorf("no text of %q has %d words, which decontamination looks for", paths, Length)
	}
	return x, nil
}

func newSet() *dedup.Exact { return dedup.NewExact(1 << 40) }

func (x *Index) add(set *dedup.Exact, path string, doc corpus.Document) error {
	var row any = doc.Text
	if !corpus.IsText(path) {
		if err := json.Unmarshal([]byte(doc.Text), &row); err != nil {
			return &corpus.DocumentError{Path: path, Line: doc.Line, Err: errors.New("no JSON")}
		}
	}
	found := false
	for _, text := range texts(nil, row) {
		for _, h := range words.Sequences(words.Split(nil, text), Length) {
			found = true
			x.all.Add(dedup.Key(h))
			set.Add(dedup.Key(h))
		}
	}
	if x.rows++; !found {
		x.short++
	}
	return nil
}

// texts appends the strings in a value of JSON.
func texts(dst []string, v any) []string {
	switch v := v.(type) {
	case string:
		dst = append(dst, v)
	case []any:
		for _, e := range v {
			dst = texts(dst, e)
		}
	case map[string]any:
		for _, e := range v {
			dst = texts(dst, e)
		}
	}
	return dst
}

// Rows returns how many there are, and how many have no text of Length words: those are
// not looked for.
func (x *Index) Rows() (all, short int) { return x.rows, x.short }

// Find returns the file that has a sequence of a document's words, and the first and last
// of them; "" if none has.
func (x *Index) Find(w []words.Word) (name string, from, to int) {
	for i, h := range words.Sequences(w, Length) {
		if !x.all.Has(dedup.Key(h)) {
			continue
		}
		for _, f := range x.files {
			if f.set.Has(dedup.Key(h)) {
				return f.name, first(w, i), i
			}
		}
	}
	return "", 0, 0
}

// first returns the first word of the sequence that ends with number i.
func first(w []words.Word, i int) int {
	for n := 0; ; i-- {
		if w[i].Hash != 0 {
			if n++; n == Length {
				return i
			}
		}
	}
}
