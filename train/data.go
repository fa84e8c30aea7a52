package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/train/corpus"
	"github.com/ingot-llm/ingot/train/quality"
)

// dataOptions are the flags of train data.
type dataOptions struct {
	tokenizer, out, field, policy, ask string
	valid                              float64
	shardTokens                        int64
	threads                            int
	chat                               bool
	dedup                              string
	similarity                         float64 // of near duplicates
	memory                             float64 // GiB of what dedup remembers
	minChars, maxChars                 int
	filters, tasks                     []string
	shard                              string  // of the files
	job                                dataJob // that it names
}

func dataCommand() *cobra.Command {
	var o dataOptions
	cmd := &cobra.Command{
		Use:   "data --tokenizer DIR --out DIR FILES...",
		Short: "Turn text into token shards for training",
		Long: `Reads documents from .txt files (one each), .jsonl files (one a line) and .csv files
(one a record, the first names the columns), plain or packed with gzip or Zstandard,
from .parquet files (one a row), or from folders of them; drops those that are empty,
that came before (--dedup), that are too short or long or fail a --filter; and writes
them as tokens into checksummed shards: OUT/train and, for the share --valid of the documents,
OUT/valid. Which documents that are depends on their text alone. What was kept and what
was dropped and why is printed at the end; OUT/report.json has it with some samples of
each. A folder that has shards of an earlier run is refused.

--dedup near also drops documents that are similar to an earlier one: of the sequences of
5 words that either has, both have the share --dedup-threshold. That is estimated from 128
values of MinHash, with a standard deviation of some 0.035: of documents 0.05 above the
threshold more than 9 in 10 are dropped, of those 0.05 below it fewer than 1 in 10. Case
and punctuation do not count; the first document stays. Memory: some 30 bytes a document
for exact, 500 for near.

Filters are rules with the thresholds that their authors found on English pages of the
web; books, poems, code and languages that are not written in words can fail them.
repetition drops texts with too many lines, paragraphs or sequences of 2 to 10 words that
come again in them (the repetition rules of Gopher, arXiv 2112.11446); gopher drops by
number and length of words, symbols, bullets, ellipses, words without letters, and for
want of English function words (its quality rules); c4 takes lines out of texts, those
that do not end as sentences, have fewer than 3 words or speak of Javascript or cookies,
and drops texts with lorem ipsum, a curly bracket or fewer than 5 sentences (arXiv
1910.10683).

--decontaminate keeps evaluation data out of training: it reads the tasks' files, as
ingot eval does, and drops a document that has 13 words in a row of any text in a row of
them, whatever the case and punctuation. The report names the file and the words. Shorter
texts are not looked for, and a long document is dropped for one quotation.

With --ask a line becomes a conversation: the text given, with {field}s of the line in
it, is what the user says, and --text-field what the assistant answers. The fields of a
record or row are its columns of text.

With --chat the lines are conversations: {"messages": [...]} as OpenAI's API has
them, with "tools" or without, {"conversations": [...]} (ShareGPT), {"instruction",
"input", "output"} (Alpaca), or {"prompt", "completion"}. They are rendered by the
chat template that comes with the tokenizer, and only what the assistant says is
learned: data for ingot train sft. Records and rows may have the last two forms; nested
columns are refused.

--shard 2/8 does every eighth file from the second on: eight jobs of a job array, each
with its number, do all files, in any order or at once, and their shards lie side by side
in OUT. Each looks for duplicates among its own files alone; texts that two jobs have are
in training or validation for both, never once in each.

A damaged line or file ends the work (--policy fail) or is passed over and counted
(--policy skip). A line of any length costs no memory beyond 64 MiB, and only itself.`,
		Example: `  ingot train data --tokenizer tok/ --out data/ books/*.jsonl.gz
  ingot train data --tokenizer tok/ --out data/ --text-field content web/*.parquet
  ingot train data --tokenizer tok/ --out data/ --dedup near --filter repetition,gopher web/*.jsonl.zst
  ingot train data --tokenizer tok/ --out data/ --decontaminate eval/ books/
  ingot train data --tokenizer tok/ --out data/ --shard $SLURM_ARRAY_TASK_ID/8 web/
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
	f.StringVar(&o.field, "text-field", "text", "`name` of the text in a line's object, or of its column")
	f.StringVar(&o.policy, "policy", "fail", "at a damaged line or file: fail or skip")
	f.Float64Var(&o.valid, "valid", 0.01, "`share` of the documents that is held back for validation")
	f.Int64Var(&o.shardTokens, "shard-tokens", 100e6, "most tokens of a shard")
	f.StringVar(&o.ask, "ask", "", "what the user says, such as \"Tell me about {title}.\", to get the text as the answer")
	f.StringVar(&o.shard, "shard", "", "do the `part` 2/8 of the files, the second of eight that jobs share, into the same --out")
	f.IntVar(&o.threads, "threads", 0, "that tokenize (0: one for each processor)")
	f.BoolVar(&o.chat, "chat", false, "the lines are conversations, to fine-tune on")
	f.StringVar(&o.dedup, "dedup", "exact", "drop documents that came before: exact, those of the same text; near, similar ones too; or none")
	f.Float64Var(&o.similarity, "dedup-threshold", 0.8, "near: similarity from which on a document is dropped, above 0 to 1")
	f.Float64Var(&o.memory, "dedup-memory", 4, "most `GiB` to remember documents in; once full, later ones are compared with those alone")
	f.IntVar(&o.minChars, "min-chars", 0, "drop texts of fewer characters")
	f.IntVar(&o.maxChars, "max-chars", 0, "drop texts of more characters (0: none)")
	f.StringSliceVar(&o.tasks, "decontaminate", nil, "drop documents that have 13 words in a row of a text of these evaluation `files`, or folders of them")
	f.StringSliceVar(&o.filters, "filter", nil, "drop texts by rules: "+strings.Join(quality.Names(), ", ")+", of which several may be given")
	return cmd
}

func (o *dataOptions) check(files []string) (err error) {
	o.job, err = parseDataJob(o.shard)
	switch {
	case err != nil:
		return err
	case o.tokenizer == "" || o.out == "" || len(files) == 0:
		return cli.Usagef("train data needs --tokenizer, --out and files of text")
	case o.policy != "fail" && o.policy != "skip":
		return cli.Usagef("--policy is %q, want fail or skip", o.policy)
	case !(o.valid >= 0 && o.valid < 1):
		return cli.Usagef("--valid is %g, want a share from 0 to below 1", o.valid)
	case o.shardTokens < 1:
		return cli.Usagef("--shard-tokens is %d, want at least 1", o.shardTokens)
	case !slices.Contains([]string{"exact", "near", "none"}, o.dedup):
		return cli.Usagef("--dedup is %q, want exact, near or none", o.dedup)
	case !(o.similarity > 0 && o.similarity <= 1):
		return cli.Usagef("--dedup-threshold is %g, want a similarity above 0 and up to 1", o.similarity)
	case !(o.memory > 0 && o.memory < 1<<20):
		return cli.Usagef("--dedup-memory is %g GiB, want more than 0", o.memory)
	case o.minChars < 0 || o.maxChars < 0 || o.maxChars > 0 && o.maxChars < o.minChars:
		return cli.Usagef("--min-chars is %d and --max-chars %d: want at least 0, and the second above the first or 0", o.minChars, o.maxChars)
	case o.chats() && slices.Contains(o.filters, "c4"):
		return cli.Usagef("--filter c4 takes lines out of texts, which conversations are not: leave it out")
	case o.threads < 0:
		return cli.Usagef("--threads is %d, want a number of threads, or 0 for one a processor", o.threads)
	}
	return nil
}

func makeData(cmd *cobra.Command, args []string, o dataOptions) error {
	files, err := corpus.Files(args...)
	if err == nil {
		files, err = o.job.share(files)
	}
	if err != nil {
		return err
	}
	judge, err := newJudge(&o)
	if err != nil {
		return err
	}
	if err := o.job.checkUnused(o.out); err != nil {
		return err
	}
	t, format, err := openText(o)
	if err != nil {
		return err
	}
	d := &dataMaker{dataOptions: o, t: t, format: format, judge: judge, near: judge.near, log: cli.Logger(cmd.ErrOrStderr())}
	d.exact = o.newExact()
	defer d.abort()
	if err := d.read(cmd.Context(), files, cli.NewProgress(cmd.ErrOrStderr(), "tokenizing", true)); err != nil {
		return err
	}
	if err := d.finish(); err != nil {
		return err
	}
	return d.report.print(cmd.OutOrStdout())
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
