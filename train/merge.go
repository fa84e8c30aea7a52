package train

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/lora"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
)

func mergeCommand() *cobra.Command {
	var typ string
	cmd := &cobra.Command{
		Use:   "merge MODEL ADAPTER DST",
		Short: "Add an adapter to the weights of its model",
		Long: `Adds an adapter in PEFT's format to the weights of its model and writes the result: a GGUF
file where DST ends in .gguf, else a Hugging Face directory. A quantized MODEL is widened
first. --type quantizes a GGUF file again; that rounds what a weak adapter says away, so
serve such an adapter beside its base (ingot serve --lora) or quantize with care.`,
		Example: `  ingot train merge model/ tuned/adapter merged/
  ingot train merge model-q4.gguf tuned/adapter merged.gguf --type Q8_0`,
		Args: cli.Args("MODEL", "ADAPTER", "DST"),
		RunE: func(cmd *cobra.Command, args []string) error { return merge(cmd, args[0], args[1], args[2], typ) },
	}
	cmd.Flags().StringVar(&typ, "type", "", "`type` of the matrices (default: the model's float type, of a quantized one BF16)")
	return cmd
}

func merge(cmd *cobra.Command, model, adapter, dst, typ string) error {
	src, err := checkpoint.Open(model)
	if err != nil {
		return err
	}
	if typ == "" {
		typ = floatType(src).String()
	}
	a, err := lora.Open(adapter, src)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	merged, err := lora.Merge(src, a)
	if err == nil {
		err = cli.WriteModel(cmd, merged, model, dst, cli.Form{Type: typ, AllowRequantize: true})
	}
	return errors.Join(err, src.Close())
}

// floatType returns the float type that most elements of src have, BF16 if those are
// quantized.
func floatType(src quant.Source) quant.DType {
	byType, most := map[quant.DType]int{}, quant.BF16
	for _, t := range src.Infos() {
		if byType[t.DType] += t.Elems(); byType[t.DType] > byType[most] {
			most = t.DType
		}
	}
	if most.BlockElems() > 1 {
		return quant.BF16
	}
	return most
}
