// Package train makes models: it turns text into tokens and tokens into a model that the
// engine serves. Its forward pass is the engine's own program; the gradient is derived
// from it, operation by operation (kernels.Training).
//
//	text -> train tokenizer -> train data -> shards -> train pretrain -> model
//	conversations -> train data --chat -> shards -> train sft -> model, or adapter -> train merge -> model
package train

import (
	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
)

// Commands returns the commands of this package, for the program's table.
func Commands() []*cobra.Command {
	group := cli.Group("train", "Train models", `Trains models on this machine: from text to a model that ingot serve answers with.`)
	group.Example = `  ingot train tokenizer --out tok/ books/*.jsonl.gz
  ingot train data --tokenizer tok/ --out data/ books/*.jsonl.gz
  ingot train pretrain --preset nano --tokenizer tok/ --data data/ --out run/`
	group.AddCommand(tokenizerCommand(), dataCommand(), pretrainCommand(), sftCommand(), mergeCommand(), dashboardCommand(), speedrunCommand())
	return []*cobra.Command{group}
}
