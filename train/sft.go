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
		Long: `Fine-tunes a model on token shards: of conversations (ingot train data --chat), where only
what the assistant says is learned, or of plain text. MODEL is a Hugging Face directory
or a GGUF file. All its weights are tuned, quantized ones widened first, unless
--lora-rank asks for a low-rank adapter (LoRA): then the weights stay as they lie, also
quantized (QLoRA), and OUT/adapter gets the adapter in PEFT's format, which ingot serve
--lora serves beside its base and ingot train merge adds to the weights. An adapter
learns at some ten times the rate of all weights.
` + runHelp,
		Example: `  ingot train data --tokenizer model/ --chat --out chats/ chats.jsonl
  ingot train sft --model model/ --data chats/ --out tuned/
  ingot serve --model tuned/model
  ingot train sft --model model-q4.gguf --data chats/ --out tuned/ --lora-rank 16 --lr 2e-4
  ingot serve --model model-q4.gguf --lora poet=tuned/adapter`,
		Args: cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "`file` or directory of the model")
	f.Uint64Var(&o.seed, "seed", 1, "of the order of documents")
	f.IntVar(&o.lora.Rank, "lora-rank", 0, "train an adapter of this rank instead of the weights (0: the weights)")
	f.Float64Var(&o.lora.Alpha, "lora-alpha", 16, "of the adapter, which is scaled by alpha/rank")
	f.BoolVar(&o.lora.RSLoRA, "rslora", false, "scale the adapter by alpha/sqrt(rank): for high ranks")
	f.BoolVar(&o.lora.DoRA, "dora", false, "learn the length of each row of the adapted weights apart from its direction")
	f.StringSliceVar(&o.lora.targets, "lora-target", []string{allLinear}, "`modules` that the adapter changes: all-linear, or names such as q_proj,v_proj")
	f.Float64Var(&o.neftune, "neftune", 0, "alpha of noise that is added to the embeddings in training, such as 5, for answers that follow the data less closely (NEFTune; 0: none)")
	o.flags(f, runDefaults{optimizer: "adamw", rate: 3e-4, batch: 8192, epochs: 2, schedule: "cosine", warmup: 20})
	return cmd
}
