package train

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/train/chatdata"
	"github.com/ingot-llm/ingot/train/contam"
	"github.com/ingot-llm/ingot/train/corpus"
	"github.com/ingot-llm/ingot/train/dedup"
)

// dataMaker makes shards of two parts from documents, which go through stages:
//
//	batches -> judge -> fresh -> encode -> write
//
// One goroutine reads, threads judge, one takes out what came before, threads tokenize,
// one writes; all in the order of the documents, so that threads do not change a byte.
type dataMaker struct {
	dataOptions
	t              *tokenizer.Tokenizer
	format         *chat.Format // of conversations
	log            *slog.Logger
	judge          *judge
	exact          *dedup.Exact // nil: what came before is kept
	near           *dedup.Near  // nil: what is similar to it is kept
	kept, heldBack writer
	report         dataReport
}

// document is one on its way to a shard, or what stands in place of it.
type document struct {
	path string
	corpus.Document
	err    error                  // of reading it
	talk   *chatdata.Conversation // that the text is
	size   int                    // bytes of the text as it was read
	lines  int                    // taken out of it
	reason string                 // why it is dropped
	note   string                 // on that
	key    dedup.Key
	sketch *dedup.Sketch
}

// batchText is how much text is handed from goroutine to goroutine at a time, in bytes.
const batchText = 128 << 10

// read takes the files through all stages.
func (d *dataMaker) read(ctx context.Context, files []string, p *cli.Progress) error {
	defer p.Done()
	d.kept, d.heldBack = d.writer("train", &d.report.Train), d.writer("valid", &d.report.Valid)
	threads := threadCount(d.threads)
	judged := inOrder(d.batches(files, p), threads, d.judge.batch)
	for batch, err := range inOrder(d.fresh(judged), threads, d.encode) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		for _, e := range batch {
			if err := d.write(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// batches gives the documents of the files and what went wrong in place of others.
func (d *dataMaker) batches(files []string, p *cli.Progress) iter.Seq2[[]document, error] {
	var done, total int64
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			total += info.Size()
		}
	}
	return func(yield func([]document, error) bool) {
		var batch []document
		size := 0
		for _, f := range files {
			for doc, err := range corpus.Read(f, d.textField(), func(n int64) { done += n; p.Set(done, total) }) {
				batch = append(batch, document{path: f, Document: doc, err: err})
				if size += len(doc.Text); size < batchText && err == nil {
					continue
				}
				if !yield(batch, nil) {
					return
				}
				batch, size = nil, 0
			}
		}
		yield(batch, nil)
	}
}

// textField is the field that holds a document: none of a conversation's, which is a line.
func (d *dataMaker) textField() string {
	if d.chats() {
		return ""
	}
	return d.field
}

// chats reports whether documents are conversations.
func (o *dataOptions) chats() bool { return o.chat || o.ask != "" }

// fresh passes on what is to be kept, and errors.
func (d *dataMaker) fresh(judged iter.Seq2[[]document, error]) iter.Seq2[[]document, error] {
	return func(yield func([]document, error) bool) {
		for batch, err := range judged {
			kept := batch[:0]
			for _, doc := range batch {
				if doc.err != nil || d.keep(&doc) {
					kept = append(kept, doc)
				}
			}
			if !yield(kept, err) {
				return
			}
		}
	}
}

// keep counts a document and reports whether it is kept.
func (d *dataMaker) keep(doc *document) bool {
	d.report.read(doc.size)
	if doc.reason == "" {
		doc.reason = d.cameBefore(doc)
	}
	if doc.reason != "" {
		d.report.drop(doc.reason, droppedSample{Path: doc.path, Line: doc.Line, Note: strings.Clone(doc.note), Text: doc.Text})
		return false
	}
	d.report.Lines += int64(doc.lines)
	return true
}

// cameBefore returns what a document is of earlier ones, "" if nothing.
func (d *dataMaker) cameBefore(doc *document) string {
	switch {
	case d.exact != nil && d.exact.Add(doc.key):
		return "duplicate"
	case d.near != nil && d.near.Add(doc.sketch):
		return "near duplicate"
	}
	return ""
}

// encoded is a document in tokens, or what went wrong.
type encoded struct {
	chatdata.Example
	held bool // back for validation
	err  error
}

// encode is safe for concurrent use.
func (d *dataMaker) encode(batch []document) []encoded {
	all := make([]encoded, len(batch))
	for i, doc := range batch {
		all[i] = d.encodeOne(doc)
	}
	return all
}

func (d *dataMaker) encodeOne(doc document) encoded {
	if doc.err != nil {
		return encoded{err: doc.err}
	}
	e := encoded{held: held(doc.Text, d.valid)}
	if doc.talk == nil {
		e.Tokens, e.Bytes = d.encodeText(doc.Text), len(doc.Text)
		return e
	}
	var err error
	if e.Example, err = chatdata.Encode(*doc.talk, d.format, d.t); err != nil {
		e.err = &corpus.DocumentError{Path: doc.path, Line: doc.Line, Err: err}
	}
	return e
}

// encodeText ends a document with the token for that.
func (d *dataMaker) encodeText(text string) []int32 {
	ids := d.t.Encode(make([]int32, 0, len(text)/3), text, tokenizer.EncodeOptions{AddSpecial: true})
	if eos := d.t.EOS(); eos >= 0 && (len(ids) == 0 || ids[len(ids)-1] != eos) {
		ids = append(ids, eos)
	}
	return ids
}

func (d *dataMaker) write(e encoded) error {
	switch {
	case e.err != nil:
		return d.damaged(e.err)
	case e.held:
		return d.heldBack.add(e.Tokens, e.Learned, e.Bytes)
	}
	return d.kept.add(e.Tokens, e.Learned, e.Bytes)
}

func (d *dataMaker) damaged(err error) error {
	if d.policy == "fail" {
		return fmt.Errorf("%w (--policy skip passes over it)", err)
	}
	if d.report.drop("damaged", droppedSample{Note: err.Error()}) {
		d.log.Warn("passed over", "error", err)
	}
	return nil
}

// held reports whether a text is held back for validation: by its hash.
func held(text string, share float64) bool {
	h := fnv.New64a()
	h.Write([]byte(text))
	return float64(h.Sum64()>>11)/(1<<53) < share
}

func (d *dataMaker) finish() error {
	if err := errors.Join(d.kept.close(), d.heldBack.close()); err != nil {
		return err
	}
	if d.report.Train.Documents == 0 {
		return fmt.Errorf("of the %d documents none is left to train on", d.report.Read.Documents)
	}
	if d.judge.tasks != nil {
		if all, short := d.judge.tasks.Rows(); short > 0 {
			d.report.Notes = append(d.report.Notes, fmt.Sprintf("of %d rows of evaluation files %d have no text of %d words and were not looked for", all, short, contam.Length))
		}
	}
	if d.exact != nil {
		d.noteFull("duplicates", d.exact)
	}
	if d.near != nil {
		d.noteFull("near duplicates", d.near)
	}
	return d.report.write(filepath.Join(d.out, d.job.prefix()+"report.json"))
}

// noteFull says where an index had no room for all texts.
func (d *dataMaker) noteFull(what string, index interface {
	Full() bool
	Documents() int
}) {
	if index.Full() {
		d.report.Notes = append(d.report.Notes, fmt.Sprintf("%s were looked for among the first %d texts: --dedup-memory allows no more", what, index.Documents()))
	}
}

func (d *dataMaker) abort() {
	d.kept.abort()
	d.heldBack.abort()
}

func (d *dataMaker) writer(name string, p *part) writer {
	return writer{dir: filepath.Join(d.out, name), prefix: d.job.prefix(), vocab: d.t.Vocab(), fingerprint: fingerprint(d.t), most: d.shardTokens, part: p}
}
