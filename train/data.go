package train

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant/atomicfile"
	"github.com/ingot-llm/ingot/train/chatdata"
	"github.com/ingot-llm/ingot/train/corpus"
	"github.com/ingot-llm/ingot/train/shard"
)

// dataOptions are the flags of train data.
type dataOptions struct {
	tokenizer, out, field, policy, ask string
	valid                              float64
	shardTokens                        int64
	threads                            int
	duplicates, chat                   bool
}

func dataCommand() *cobra.Command {
	var o dataOptions
	cmd := &cobra.Command{
		Use:   "data --tokenizer DIR --out DIR FILES...",
		Short: "Turn text into token shards for training",
		Long: `Reads documents from .txt files (one each) and .jsonl files (one a line), plain or
packed with gzip or Zstandard, or from folders of them; drops those that are empty
or that came before; and writes them as tokens into checksummed shards: OUT/train
and, for the share --valid of the documents, OUT/valid. Which documents that are
depends on their text alone. OUT/report.json says what was read and dropped. A folder
that has shards of an earlier run is refused.

With --ask a line becomes a conversation: the text given, with {field}s of the line in
it, is what the user says, and --text-field what the assistant answers.

With --chat the lines are conversations: {"messages": [...]} as OpenAI's API has
them, with "tools" or without, {"conversations": [...]} (ShareGPT), {"instruction",
"input", "output"} (Alpaca), or {"prompt", "completion"}. They are rendered by the
chat template that comes with the tokenizer, and only what the assistant says is
learned: data for ingot train sft.

A damaged line or file ends the work (--policy fail) or is passed over and counted
(--policy skip).`,
		Example: `  ingot train data --tokenizer tok/ --out data/ books/*.jsonl.gz
  ingot train data --tokenizer model.gguf --chat --out chats/ chats.jsonl`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return err
			}
			return makeData(cmd, args, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.tokenizer, "tokenizer", "", "`directory`, tokenizer.json or model with the tokenizer")
	f.StringVar(&o.out, "out", "", "`folder` for the shards, made if absent")
	f.StringVar(&o.field, "text-field", "text", "`name` of the text in a line's object")
	f.StringVar(&o.policy, "policy", "fail", "at a damaged line or file: fail or skip")
	f.Float64Var(&o.valid, "valid", 0.01, "`share` of the documents that is held back for validation")
	f.Int64Var(&o.shardTokens, "shard-tokens", 100e6, "most tokens of a shard")
	f.StringVar(&o.ask, "ask", "", "what the user says, such as \"Tell me about {title}.\", to get the text as the answer")
	f.IntVar(&o.threads, "threads", 0, "that tokenize (0: one for each processor)")
	f.BoolVar(&o.chat, "chat", false, "the lines are conversations, to fine-tune on")
	f.BoolVar(&o.duplicates, "keep-duplicates", false, "keep documents that came before, too")
	return cmd
}

func (o *dataOptions) check(files []string) error {
	switch {
	case o.tokenizer == "" || o.out == "" || len(files) == 0:
		return cli.Usagef("train data needs --tokenizer, --out and files of text")
	case o.policy != "fail" && o.policy != "skip":
		return cli.Usagef("--policy is %q, want fail or skip", o.policy)
	case !(o.valid >= 0 && o.valid < 1):
		return cli.Usagef("--valid is %g, want a share from 0 to below 1", o.valid)
	case o.shardTokens < 1:
		return cli.Usagef("--shard-tokens is %d, want at least 1", o.shardTokens)
	case o.threads < 0:
		return cli.Usagef("--threads is %d, want a number of threads, or 0 for one a processor", o.threads)
	}
	return nil
}

// dataReport counts what became of the documents.
type dataReport struct {
	Read       int64    `json:"documents_read"`
	Bytes      int64    `json:"bytes_read"` // of text
	Empty      int64    `json:"dropped_empty"`
	Duplicates int64    `json:"dropped_duplicates"`
	Damaged    int64    `json:"dropped_damaged"`
	Errors     []string `json:"errors,omitempty"` // the first of them
	Train      part     `json:"train"`
	Valid      part     `json:"valid"`
}

type part struct {
	Documents int64 `json:"documents"`
	Tokens    int64 `json:"tokens"`
	Bytes     int64 `json:"bytes"`
	Shards    int   `json:"shards"`
}

func (p part) String() string {
	return fmt.Sprintf("%d documents, %d tokens, %.2f bytes a token", p.Documents, p.Tokens, float64(p.Bytes)/float64(max(p.Tokens, 1)))
}

func makeData(cmd *cobra.Command, args []string, o dataOptions) error {
	files, err := corpus.Files(args...)
	if err != nil {
		return err
	}
	if err := checkUnused(o.out); err != nil {
		return err
	}
	t, format, err := openText(o)
	if err != nil {
		return err
	}
	d := &dataMaker{dataOptions: o, t: t, format: format, log: cli.Logger(cmd.ErrOrStderr()), seen: map[[16]byte]struct{}{}}
	defer d.abort()
	if err := d.read(cmd.Context(), files, cli.NewProgress(cmd.ErrOrStderr(), "tokenizing", true)); err != nil {
		return err
	}
	if err := d.finish(); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "train: %v\nvalid: %v\ndropped: %d empty, %d duplicates, %d damaged\n",
		d.report.Train, d.report.Valid, d.report.Empty, d.report.Duplicates, d.report.Damaged)
	return nil
}

// checkUnused refuses a folder with shards: training takes all that lie there.
func checkUnused(out string) error {
	for _, part := range []string{"train", "valid"} {
		if files, _ := filepath.Glob(filepath.Join(out, part, "*.shard")); len(files) > 0 {
			return fmt.Errorf("%q has shards of an earlier run, such as %q: remove them or name another --out", out, files[0])
		}
	}
	return nil
}

// openText opens the tokenizer, and for conversations its chat template.
func openText(o dataOptions) (*tokenizer.Tokenizer, *chat.Format, error) {
	t, err := tokenizer.Open(o.tokenizer, "")
	if err != nil || !o.chats() {
		return t, nil, err
	}
	meta, err := tokenizerMeta(o.tokenizer)
	if err != nil {
		return nil, nil, err
	}
	f, err := chat.NewFormat(meta.String("tokenizer.chat_template", ""), t.TokenText(t.BOS()), t.TokenText(t.EOS()))
	if errors.Is(err, chat.ErrNoTemplate) {
		err = fmt.Errorf("%q has no chat template, which --chat renders conversations with", o.tokenizer)
	}
	return t, f, err
}

// dataMaker writes the shards of two parts.
type dataMaker struct {
	dataOptions
	t              *tokenizer.Tokenizer
	format         *chat.Format // of conversations
	log            *slog.Logger
	seen           map[[16]byte]struct{} // hashes of texts
	kept, heldBack writer
	report         dataReport
}

// read goes through the files: one goroutine reads and drops, threads tokenize, and this
// one writes, in the order of the documents.
func (d *dataMaker) read(ctx context.Context, files []string, p *cli.Progress) error {
	defer p.Done()
	d.kept, d.heldBack = d.writer("train", &d.report.Train), d.writer("valid", &d.report.Valid)
	for e, err := range inOrder(d.fresh(ctx, files, p), threadCount(d.threads), d.encode) {
		if err == nil {
			err = e.err
		}
		if err != nil {
			err = d.damaged(err)
		} else {
			err = d.write(e)
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// located is a document and the file that it is from.
type located struct {
	path string
	corpus.Document
}

// fresh gives the documents that are neither empty nor duplicates, and the errors; once ctx
// has ended, its error for every document.
func (d *dataMaker) fresh(ctx context.Context, files []string, p *cli.Progress) iter.Seq2[located, error] {
	var done, total int64
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			total += info.Size()
		}
	}
	return func(yield func(located, error) bool) {
		for _, f := range files {
			for doc, err := range corpus.Read(f, d.textField(), func(n int64) { done += n; p.Set(done, total) }) {
				if err == nil {
					err = ctx.Err()
				}
				if err == nil && d.drop(&doc) {
					continue
				}
				if !yield(located{f, doc}, err) {
					return
				}
			}
		}
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

// maxErrors is how many damaged documents a report shows.
const maxErrors = 20

func (d *dataMaker) damaged(err error) error {
	if d.policy == "fail" {
		return fmt.Errorf("%w (--policy skip passes over it)", err)
	}
	d.report.Damaged++
	if len(d.report.Errors) < maxErrors {
		d.report.Errors = append(d.report.Errors, err.Error())
		d.log.Warn("passed over", "error", err)
	}
	return nil
}

// drop counts a document, trims it, and reports whether it is to be left out.
func (d *dataMaker) drop(doc *corpus.Document) bool {
	d.report.Read++
	d.report.Bytes += int64(len(doc.Text))
	doc.Text = strings.TrimSpace(doc.Text)
	if doc.Text == "" {
		d.report.Empty++
		return true
	}
	if !d.duplicates && d.before(doc.Text) {
		d.report.Duplicates++
		return true
	}
	return false
}

// encoded is a document in tokens.
type encoded struct {
	chatdata.Example
	held bool // back for validation
	err  error
}

// encode is safe for concurrent use.
func (d *dataMaker) encode(doc located) encoded {
	e := encoded{held: held(doc.Text, d.valid)}
	if !d.chats() {
		e.Tokens, e.Bytes = d.encodeText(doc.Text), len(doc.Text)
		return e
	}
	var err error
	if e.Example, err = d.encodeChat(doc.Text); err != nil {
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
	w := &d.kept
	if e.held {
		w = &d.heldBack
	}
	return w.add(e.Tokens, e.Learned, e.Bytes)
}

// before reports whether the text came before, by its hash.
func (d *dataMaker) before(text string) bool {
	sum := sha256.Sum256([]byte(text))
	key := [16]byte(sum[:16])
	_, ok := d.seen[key]
	d.seen[key] = struct{}{}
	return ok
}

func (d *dataMaker) encodeChat(line string) (e chatdata.Example, err error) {
	var c chatdata.Conversation
	if d.ask != "" {
		c, err = chatdata.Ask([]byte(line), d.ask, d.field)
	} else {
		c, err = chatdata.Parse([]byte(line))
	}
	if err != nil {
		return e, err
	}
	return chatdata.Encode(c, d.format, d.t)
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
		return fmt.Errorf("of the %d documents none is left to train on", d.report.Read)
	}
	text, err := json.MarshalIndent(d.report, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(d.out, "report.json"), int64(len(text)), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

func (d *dataMaker) abort() {
	d.kept.abort()
	d.heldBack.abort()
}

func (d *dataMaker) writer(name string, p *part) writer {
	return writer{dir: filepath.Join(d.out, name), vocab: d.t.Vocab(), fingerprint: fingerprint(d.t), most: d.shardTokens, part: p}
}

// writer writes one part, shard after shard.
type writer struct {
	dir, fingerprint string
	vocab            int
	most             int64
	part             *part
	open             *shard.Writer
}

func (w *writer) add(ids []int32, learned []bool, bytes int) error {
	if w.open != nil && w.open.Tokens()+int64(len(ids)) > w.most {
		if err := w.close(); err != nil {
			return err
		}
	}
	if w.open == nil {
		if err := os.MkdirAll(w.dir, 0o755); err != nil {
			return err
		}
		s, err := shard.Create(filepath.Join(w.dir, fmt.Sprintf("%05d.shard", w.part.Shards)), w.vocab, w.fingerprint)
		if err != nil {
			return err
		}
		w.open = s
	}
	return w.open.Add(ids, learned, bytes)
}

func (w *writer) close() error {
	if w.open == nil {
		return nil
	}
	h, err := w.open.Close()
	w.open = nil
	w.part.Documents, w.part.Tokens, w.part.Bytes = w.part.Documents+h.Documents, w.part.Tokens+h.Tokens, w.part.Bytes+h.Bytes
	w.part.Shards++
	return err
}

func (w *writer) abort() {
	if w.open != nil {
		w.open.Abort()
	}
}

// fingerprint tells tokenizers apart: the hash of every id's text.
func fingerprint(t *tokenizer.Tokenizer) string {
	h := sha256.New()
	for id := range t.Vocab() {
		fmt.Fprintf(h, "%q\n", t.Piece(int32(id)))
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}
