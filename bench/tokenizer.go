package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// tokenizerOptions are the flags of ingot bench tokenizer.
type tokenizerOptions struct {
	model, file string
	repeat      int
	json        bool
}

// tokenizerResult is the speed of one tokenizer on one text, with one thread.
type tokenizerResult struct {
	Tokenizer string  `json:"tokenizer"`
	Bytes     int     `json:"bytes"`
	Tokens    int     `json:"tokens"`
	EncodeMBs float64 `json:"encode_mb_s"` // 10^6 bytes of text a second
	TokS      float64 `json:"tok_s"`
	DecodeNS  float64 `json:"decode_ns_token"` // streaming, a token at a time
}

func tokenizerCommand() *cobra.Command {
	var o tokenizerOptions
	cmd := &cobra.Command{
		Use:   "tokenizer --model FILE --file TEXT",
		Short: "Measure how fast text becomes tokens, and tokens text",
		Long: `Measures on one thread how fast a tokenizer encodes a text as a whole, and how long
it takes for each token to turn the ids back into text as a stream does. Each figure
is the median of --repeat runs after one that does not count. FILE is what ingot
tokenize takes. A text of several MB says more than a short one.`,
		Example: "  ingot bench tokenizer --model model.gguf --file book.txt\n  ingot bench tokenizer --model cl100k_base.tiktoken --file book.txt --json",
		Args:    cli.Args(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "`file` or directory with the tokenizer")
	f.StringVar(&o.file, "file", "", "`file` with the text, in UTF-8")
	f.IntVar(&o.repeat, "repeat", 5, "runs, of which the median counts")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return cmd
}

func (o *tokenizerOptions) run(out io.Writer) error {
	switch {
	case o.model == "" || o.file == "":
		return cli.Usagef("bench tokenizer needs --model FILE and --file TEXT")
	case o.repeat < 1:
		return cli.Usagef("--repeat is %d, want at least 1", o.repeat)
	}
	tok, err := tokenizer.Open(o.model, "")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(o.file)
	if err != nil {
		return err
	}
	if len(text) == 0 || !utf8.Valid(text) {
		return fmt.Errorf("%q holds no text in UTF-8", o.file)
	}
	r := o.measure(tok, string(text))
	if o.json {
		return json.NewEncoder(out).Encode(r)
	}
	_, err = fmt.Fprintf(out, "%s: %d bytes, %d tokens\nencode  %.1f MB/s, %.0f tokens/s\ndecode  %.1f ns/token\n",
		r.Tokenizer, r.Bytes, r.Tokens, r.EncodeMBs, r.TokS, r.DecodeNS)
	return err
}

func (o *tokenizerOptions) measure(tok *tokenizer.Tokenizer, text string) tokenizerResult {
	var ids []int32
	encode := o.median(func() { ids = tok.Encode(ids[:0], text, tokenizer.EncodeOptions{}) })
	buf := make([]byte, 0, len(text)+utf8.UTFMax)
	decode := o.median(func() {
		s := tok.Stream(false)
		for _, id := range ids {
			buf = s.Append(buf[:0], id)
		}
	})
	r := tokenizerResult{Tokenizer: filepath.Base(filepath.Clean(o.model)), Bytes: len(text), Tokens: len(ids)}
	r.EncodeMBs = float64(len(text)) / 1e6 / encode.Seconds()
	r.TokS = float64(len(ids)) / encode.Seconds()
	r.DecodeNS = float64(decode.Nanoseconds()) / float64(max(1, len(ids)))
	return r
}

// median returns the median time of work, which is done once before.
func (o *tokenizerOptions) median(work func()) time.Duration {
	work()
	times := make([]time.Duration, o.repeat)
	for i := range times {
		start := time.Now()
		work()
		times[i] = max(1, time.Since(start))
	}
	return median(times)
}
