package cli

import (
	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/tokenizer"
)

func tokenizeCommand() *cobra.Command {
	var model, pattern string
	var o tokenizer.RunOptions
	cmd := &cobra.Command{
		Use:   "tokenize --model FILE",
		Short: "Turn text into token ids, and back",
		Long: `Reads text from stdin and prints its token ids as {"ids":[..]}; with --decode it
reads {"ids":[..]} and prints the text.

FILE is any model, a GGUF file with a vocabulary only, a tokenizer.json, a
SentencePiece .model or a .tiktoken file. Names of control tokens in the text are
plain text. A tiktoken file says nothing of how it splits text: its name does
(r50k, p50k, p50k_edit, cl100k, o200k), or --pattern.`,
		Example: `  echo -n "Once upon a time" | ingot tokenize --model model.gguf
  echo '{"text":"Hello"}' | ingot tokenize --model tokenizer.json --jsonl
  echo '{"ids":[1,403,407]}' | ingot tokenize --model model.gguf --decode`,
		Args: Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if model == "" {
				return Usagef("tokenize needs --model FILE")
			}
			t, err := tokenizer.Open(model, pattern)
			if err != nil {
				return err
			}
			return tokenizer.RunTokenize(cmd.InOrStdin(), cmd.OutOrStdout(), t, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&model, "model", "", "`file` or directory with the tokenizer")
	f.StringVar(&pattern, "pattern", "", "`encoding` of a tiktoken file")
	f.BoolVar(&o.JSONL, "jsonl", false, "one JSON object a line, in and out")
	f.BoolVar(&o.NoSpecial, "no-special", false, "add no tokens for the begin and the end of the text")
	f.BoolVar(&o.Decode, "decode", false, "turn ids into text")
	f.BoolVar(&o.SkipHidden, "skip-special", false, "with --decode: leave control tokens out")
	return cmd
}
