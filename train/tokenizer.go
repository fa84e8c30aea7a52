package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/atomicfile"
	"github.com/ingot-llm/ingot/train/bpe"
	"github.com/ingot-llm/ingot/train/corpus"
)

// tokenizerOptions are the flags of train tokenizer.
type tokenizerOptions struct {
	out, pre, field, eos, template string
	vocab, threads                 int
	frequency                      int64
	special                        []string
	json                           bool
}

// chatML is the template of a tokenizer that is given none: turns between <|im_start|> and
// <|im_end|>.
const chatML = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}" +
	"{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

func tokenizerCommand() *cobra.Command {
	var o tokenizerOptions
	cmd := &cobra.Command{
		Use:   "tokenizer --out DIR FILES...",
		Short: "Train a tokenizer on text",
		Long: `Trains the vocabulary of a byte-level BPE on .txt, .jsonl and .csv files, plain or
packed with gzip or Zstandard, on .parquet files, or on folders of them. Texts are first
split into words as --pre does: ` + strings.Join(tokenizer.PreTokenizers(), ", ") + `.

OUT gets tokenizer.json and tokenizer_config.json, which ingot, transformers and
Hugging Face's tokenizers load, with the ids of ingot's own. The result depends on the
words' counts alone, not on threads or the order of files; among equally frequent pairs
the lower ids merge first, as in Hugging Face's trainer. --special texts in the files are
no part of words. Printed are the bytes a token on the text itself and the pairs that
merged first, which are the most frequent ones.`,
		Example: "  ingot train tokenizer --vocab-size 8192 --out tok/ books/*.jsonl.gz\n  echo -n 'Once upon a time' | ingot tokenize --model tok/tokenizer.json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return err
			}
			return trainTokenizer(cmd, args, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "`folder` for the tokenizer, made if absent")
	f.IntVar(&o.vocab, "vocab-size", 8192, "tokens in all")
	f.StringVar(&o.pre, "pre", "qwen2", "`name` of the pre-tokenizer")
	f.StringVar(&o.field, "text-field", "text", "`name` of the text in a line's object, or of its column")
	f.StringSliceVar(&o.special, "special", []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}, "texts of special tokens, the first ids")
	f.StringVar(&o.eos, "eos", "<|endoftext|>", "special token that ends a document")
	f.StringVar(&o.template, "chat-template", "", "Jinja `file` (without one: turns in <|im_start|> and <|im_end|> where those are special tokens)")
	f.Int64Var(&o.frequency, "min-frequency", 2, "least occurrences of a pair that becomes a token")
	f.IntVar(&o.threads, "threads", 0, "that count words (0: one for each processor)")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return cmd
}

func (o *tokenizerOptions) check(files []string) error {
	opt := o.bpe(nil)
	switch err := opt.Check(); {
	case o.out == "" || len(files) == 0:
		return cli.Usagef("train tokenizer needs --out and files of text")
	case err != nil:
		return cli.Usagef("--vocab-size and --special: %w", err)
	case o.eos != "" && !slices.Contains(o.special, o.eos):
		return cli.Usagef("--eos is %q, which is none of --special: %s", o.eos, strings.Join(o.special, ", "))
	case o.threads < 0:
		return cli.Usagef("--threads is %d, want a number of threads, or 0 for one a processor", o.threads)
	}
	return nil
}

func (o *tokenizerOptions) bpe(p *cli.Progress) bpe.Options {
	return bpe.Options{VocabSize: o.vocab, MinFrequency: o.frequency, Special: o.special,
		Progress: func(done, total int) { p.Set(int64(done), int64(total)) }}
}

func trainTokenizer(cmd *cobra.Command, args []string, o tokenizerOptions) error {
	files, err := corpus.Files(args...)
	if err != nil {
		return err
	}
	template, err := o.readTemplate()
	if err != nil {
		return err
	}
	split, err := bpe.NewSplit(o.pre, o.special)
	if err != nil {
		return cli.Usagef("--pre: %w", err)
	}
	start := time.Now()
	p := cli.NewProgress(cmd.ErrOrStderr(), "counting words", true)
	words, err := bpe.Count(cmd.Context(), readAll(files, o.field, p), split, threadCount(o.threads))
	p.Done()
	if err != nil {
		return err
	}
	p = cli.NewProgress(cmd.ErrOrStderr(), "merging", false)
	m, err := bpe.Train(cmd.Context(), words, o.bpe(p))
	p.Done()
	if err != nil {
		return err
	}
	if err := writeTokenizer(o.out, m.Meta(o.pre, bpe.Roles{EOS: o.eos, PAD: o.eos, Template: template})); err != nil {
		return err
	}
	return newTokenizerReport(m, len(words), time.Since(start)).write(cmd.OutOrStdout(), o.json)
}

// readTemplate returns the chat template, which must be one.
func (o *tokenizerOptions) readTemplate() (string, error) {
	if o.template == "" {
		if strings.Contains(strings.Join(o.special, " "), "<|im_start|>") {
			return chatML, nil
		}
		return "", nil
	}
	text, err := os.ReadFile(o.template)
	if err != nil {
		return "", fmt.Errorf("cannot read the chat template: %w", err)
	}
	if _, err := chat.NewFormat(string(text), "", o.eos); err != nil {
		return "", fmt.Errorf("the chat template %q: %w", o.template, err)
	}
	return string(text), nil
}

// readAll gives the texts of files one after another.
func readAll(files []string, field string, p *cli.Progress) iter.Seq2[string, error] {
	var done, total int64
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			total += info.Size()
		}
	}
	return func(yield func(string, error) bool) {
		for _, f := range files {
			for doc, err := range corpus.Read(f, field, func(n int64) { done += n; p.Set(done, total) }) {
				if !yield(doc.Text, err) {
					return
				}
			}
		}
	}
}

// writeTokenizer writes the two files, together.
func writeTokenizer(dir string, meta *quant.Meta) error {
	text, err := tokenizer.TokenizerJSON(meta)
	if err != nil {
		return err
	}
	config, err := json.MarshalIndent(tokenizerConfig(meta), "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot write the tokenizer: %w", err)
	}
	var files atomicfile.Set
	defer files.Abort()
	for name, data := range map[string][]byte{"tokenizer.json": text, "tokenizer_config.json": append(config, '\n')} {
		err = errors.Join(err, files.Add(filepath.Join(dir, name), int64(len(data)), func(w io.Writer) error { _, err := w.Write(data); return err }))
	}
	if err != nil {
		return err
	}
	return files.Commit()
}

// tokenizerConfig returns what transformers reads beside tokenizer.json.
func tokenizerConfig(meta *quant.Meta) map[string]any {
	c := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false, "add_bos_token": false}
	tokens := meta.Strings("tokenizer.ggml.tokens")
	for key, field := range map[string]string{"eos": "eos_token", "padding": "pad_token"} {
		if id := meta.Int("tokenizer.ggml."+key+"_token_id", -1); id >= 0 {
			c[field] = tokens[id]
		}
	}
	if t := meta.String("tokenizer.chat_template", ""); t != "" {
		c["chat_template"] = t
	}
	return c
}
