package train

import (
	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/model/shape"
)

func pretrainCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "pretrain --preset NAME --tokenizer DIR --data DIR --out DIR",
		Short: "Train a model from random weights",
		Long: `Trains a model from random weights on token shards (ingot train data). --preset is
a size made for training on a few cores, ` + shape.Names(shape.Presets()) + `, or a published model's,
` + shape.Names(shape.All()) + `.
--shape changes its figures: ` + shape.FigureNames() + `.
` + runHelp,
		Example: `  ingot train pretrain --preset nano --tokenizer tok/ --data data/ --out run/
  ingot train pretrain --preset mini --shape layers=10,width=320,heads=10,kv-heads=5,ffn=880 --tokenizer tok/ --data data/ --out run/
  ingot train pretrain --preset small --tokenizer tok/ --data books/=3 --data news/ --out run/ --steps 2000 --dashboard 127.0.0.1:6006
  ingot serve --model run/model`,
		Args: cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.preset, "preset", "nano", "`name` of the model's size")
	f.StringToIntVar(&o.shape, "shape", nil, "`figures` of the model that differ from the preset's, such as layers=10,width=320")
	f.StringVar(&o.tokenizer, "tokenizer", "", "`directory` or model with the tokenizer")
	f.Uint64Var(&o.seed, "seed", 1, "of the weights and of the order of documents")
	o.flags(f, runDefaults{optimizer: "muon", rate: 3e-3, batch: 16384, epochs: 1, decay: 0.1, schedule: "wsd", warmup: 50})
	return cmd
}
