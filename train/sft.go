package train

import (
	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
)

func sftCommand() *cobra.Command {
	o := runOptions{whole: true}
	cmd := &cobra.Command{
		Use:   "sft --model MODEL --data DIR --out DIR",
		Short: "Fine-tune a model on conversations or other text",
		Long: `Fine-tunes all weights of a model on token shards: of conversations (ingot train data
--chat), where only what the assistant says is learned, or of plain text. MODEL is a
Hugging Face directory or a GGUF file, as it comes or quantized (then its weights
are widened first).
` + runHelp,
		Example: `  ingot train data --tokenizer model/ --chat --out chats/ chats.jsonl
  ingot train sft --model model/ --data chats/ --out tuned/
  ingot serve --model tuned/model`,
		Args: cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "`file` or directory of the model")
	f.Uint64Var(&o.seed, "seed", 1, "of the order of documents")
	o.flags(f, runDefaults{optimizer: "adamw", rate: 3e-4, batch: 8192, epochs: 2, schedule: "cosine", warmup: 20})
	return cmd
}
