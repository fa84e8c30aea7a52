package cli

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
)

func infoCommand() *cobra.Command {
	var asJSON, tensors, graph bool
	cmd := &cobra.Command{
		Use:   "info FILE",
		Short: "Show what is in a model file",
		Long: `Shows what is in a model file: its architecture, size and types, with --tensors all
metadata and tensors too, with --graph the program that runs it: every operation of a
forward pass with the shapes of its results (T tokens, R rows of logits, S sequences).
FILE is a GGUF file, a Hugging Face directory or a llama2.c file.`,
		Example: "  ingot info model.gguf\n  ingot info model.gguf --json\n  ingot info model.gguf --graph",
		Args:    Args("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON && graph {
				return Usagef("--json and --graph exclude each other")
			}
			src, err := checkpoint.Open(args[0])
			if err != nil {
				return err
			}
			switch {
			case graph:
				err = writeGraph(cmd, src)
			case asJSON:
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(checkpoint.Describe(src))
			default:
				err = checkpoint.Describe(src).Text(cmd.OutOrStdout(), tensors)
			}
			return errors.Join(err, src.Close())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, metadata and tensors included")
	cmd.Flags().BoolVar(&tensors, "tensors", false, "list all metadata and tensors")
	cmd.Flags().BoolVar(&graph, "graph", false, "print the program of the model")
	return cmd
}

func writeGraph(cmd *cobra.Command, src quant.Source) error {
	m, err := model.Load(src, model.Options{})
	if err != nil {
		return err
	}
	defer m.Program.Close()
	out := cmd.OutOrStdout()
	if err := m.Program.WriteGraph(out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%d operations; a token's step reads %d bytes of weights\n", len(m.Program.Instrs), m.Program.Bytes())
	return err
}
