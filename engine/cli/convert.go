package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
)

// hfJSON is the metadata key of a whole tokenizer.json.
const hfJSON = "tokenizer.huggingface.json"

func convertCommand() *cobra.Command {
	var typ, split string
	var again bool
	cmd := &cobra.Command{
		Use:   "convert SRC DST",
		Short: "Convert a model between Hugging Face, llama2.c and GGUF",
		Long: `Converts a model: to GGUF where DST ends in .gguf, else to a Hugging Face directory
(config.json, safetensors, tokenizer.json). SRC is a GGUF file, a Hugging Face
directory or a llama2.c file with its tokenizer beside it. The tokenizer and the chat
template go along. What is at DST stays as it is until the new model is complete.`,
		Example: `  ingot convert Qwen3-0.6B/ qwen3.gguf
  ingot convert Qwen3-0.6B/ qwen3.gguf --type Q8_0 --split-size 2G
  ingot convert model.gguf model-hf/ --type BF16`,
		Args: Args("SRC", "DST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			bytes, err := parseSize(split)
			if err != nil {
				return err
			}
			src, err := checkpoint.Open(args[0])
			if err != nil {
				return err
			}
			err = WriteModel(cmd, src, args[0], args[1], Form{Type: typ, SplitBytes: bytes, AllowRequantize: again})
			return errors.Join(err, src.Close())
		},
	}
	cmd.Flags().StringVar(&typ, "type", "", "`type` of the matrices (default: as they are): "+strings.Join(quant.MixNames(), " "))
	cmd.Flags().StringVar(&split, "split-size", "", "most bytes of tensors in one file, such as 2G or 500M (default: one file)")
	cmd.Flags().BoolVar(&again, "allow-requantize", false, "convert tensors that are quantized already, which loses quality twice")
	return cmd
}

// Form is how WriteModel writes a model.
type Form struct {
	Type            string // of matrices, "" = as they are
	SplitBytes      int    // most bytes of tensors in a file, 0 = one file
	AllowRequantize bool
}

// WriteModel writes src, opened from a path, to dst: as GGUF where dst ends in .gguf, else
// as a Hugging Face directory. It shows its progress.
func WriteModel(cmd *cobra.Command, src quant.Source, from, dst string, f Form) error {
	if strings.HasSuffix(dst, ".gguf") {
		return toGGUF(cmd, src, []string{from, dst}, f.Type, convert.Options{SplitBytes: f.SplitBytes, AllowRequantize: f.AllowRequantize})
	}
	return toHF(cmd, src, dst, convert.HFOptions{Type: strings.ToUpper(f.Type), ShardBytes: f.SplitBytes})
}

// toGGUF converts src, opened from args[0], to args[1]; typ may be "".
func toGGUF(cmd *cobra.Command, src quant.Source, args []string, typ string, opt convert.Options) error {
	var err error
	if typ != "" {
		if opt.Mix, err = quant.ParseMix(typ); err != nil {
			return &UsageError{err}
		}
	}
	if opt.Extra, err = ggmlTokenizer(src, args[0]); err != nil {
		return err
	}
	return withProgress(cmd, "converting to "+filepath.Base(args[1]), func(ctx context.Context, progress func(done, total int)) error {
		opt.Progress = progress
		return convert.ToGGUF(ctx, src, args[1], opt)
	})
}

func toHF(cmd *cobra.Command, src quant.Source, dir string, opt convert.HFOptions) error {
	src, err := withTokenizerJSON(src)
	if err != nil {
		return err
	}
	return withProgress(cmd, "converting to "+filepath.Base(filepath.Clean(dir)), func(ctx context.Context, progress func(done, total int)) error {
		opt.Progress = progress
		return convert.ToHF(ctx, src, dir, opt)
	})
}

// withProgress does work that counts bytes, showing how far it is.
func withProgress(cmd *cobra.Command, what string, work func(context.Context, func(done, total int)) error) error {
	p := NewProgress(cmd.ErrOrStderr(), what, true)
	defer p.Done()
	err := work(cmd.Context(), func(done, total int) { p.Set(int64(done), int64(total)) })
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted: nothing was written")
	}
	return err
}

// ggmlTokenizer returns the keys of GGUF for the tokenizer.json of a Hugging Face
// directory, nil for a source that has none.
func ggmlTokenizer(src quant.Source, dir string) (*quant.Meta, error) {
	meta := src.Meta()
	text := meta.String(hfJSON, "")
	if text == "" || meta.Has("tokenizer.ggml.tokens") {
		return nil, nil
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		dir = filepath.Dir(dir)
	}
	files := tokenizer.HF{Tokenizer: []byte(text)}
	for name, to := range map[string]*[]byte{"tokenizer_config.json": &files.Config, "generation_config.json": &files.Generation} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		*to = data
	}
	extra, err := tokenizer.GGML(files)
	if err == nil {
		pad(extra, src)
	}
	return extra, err
}

// pad gives every row of the embedding a token, as other programs want it: rows beyond
// the vocabulary are unused (type 5 of GGUF's token types).
func pad(meta *quant.Meta, src quant.Source) {
	const unused = 5
	tokens, types, scores := meta.Strings("tokenizer.ggml.tokens"), meta.Ints("tokenizer.ggml.token_type"), meta.Floats("tokenizer.ggml.scores")
	rows := 0
	for _, t := range src.Infos() {
		if t.Name == "token_embd.weight" {
			rows = t.Shape[0]
		}
	}
	if len(tokens) == 0 || rows <= len(tokens) {
		return
	}
	padded := make([]int32, rows)
	for i := range padded {
		padded[i] = unused
		if i < len(types) {
			padded[i] = int32(types[i])
		}
	}
	for len(tokens) < rows {
		tokens = append(tokens, fmt.Sprintf("[PAD%d]", len(tokens)))
	}
	meta.Set("tokenizer.ggml.tokens", tokens)
	meta.Set("tokenizer.ggml.token_type", padded)
	if scores != nil {
		meta.Set("tokenizer.ggml.scores", append(scores, make([]float32, rows-len(scores))...))
	}
}

// withMeta is a source with other metadata.
type withMeta struct {
	quant.Source
	meta *quant.Meta
}

// Meta implements quant.Source.
func (s withMeta) Meta() *quant.Meta { return s.meta }

// withTokenizerJSON returns src with a tokenizer.json in its metadata, made of GGUF's
// keys unless it has one, or no tokenizer at all.
func withTokenizerJSON(src quant.Source) (quant.Source, error) {
	if src.Meta().Has(hfJSON) || !src.Meta().Has("tokenizer.ggml.tokens") {
		return src, nil
	}
	text, err := tokenizer.TokenizerJSON(src.Meta())
	if err != nil {
		return nil, err
	}
	meta := src.Meta().Clone()
	meta.Set(hfJSON, string(text))
	return withMeta{src, meta}, nil
}

// units of sizes on the command line: powers of 1000, and of 1024 with an i.
var units = map[string]int{"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "KI": 1 << 10, "MI": 1 << 20, "GI": 1 << 30}

// parseSize reads a number of bytes such as 500M or 2GiB; "" is 0.
func parseSize(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	digits := strings.TrimRight(strings.ToUpper(s), "KMGIB")
	unit, known := units[strings.TrimSuffix(strings.ToUpper(s)[len(digits):], "B")]
	n, err := strconv.Atoi(digits)
	if err != nil || !known || n < 1 || n > 1<<30 {
		return 0, Usagef("%q is no size: want a number of bytes such as 500M, 2G or 2GiB", s)
	}
	return n * unit, nil
}
