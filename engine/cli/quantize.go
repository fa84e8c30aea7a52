package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
)

func quantizeCommand() *cobra.Command {
	var again bool
	var c calibration
	cmd := &cobra.Command{
		Use:   "quantize SRC DST TYPE",
		Short: "Make a model smaller and faster",
		Long: `Quantizes a model to a GGUF file. TYPE is llama.cpp's name of a recipe, which says
what type each tensor gets:

  ` + strings.Join(quant.MixNames(), " ") + `

Q4_K_M is a good start; Q8_0 is hard to tell from the original; Q4_0 is the fastest.
SRC is a GGUF file, a Hugging Face directory or a llama2.c file.

--calibrate runs the model over a text first, such as what it will be used on, and sums up
the squares of what each column of each weight multiplies: scales are then chosen so that
rounding harms the columns that count least (an importance matrix). Some 10,000 tokens do.
--gptq also sums up the products of each two columns, and lets each column of a weight make
good the rounding errors of those before it (GPTQ). That takes much longer for wide models,
and several passes over the text where memory does not hold all sums. Experts are
calibrated by importance alone.
ingot eval DST --against SRC tells what was lost.`,
		Example: `  ingot quantize model-f16.gguf model-q4.gguf Q4_K_M
  ingot quantize Qwen3-0.6B/ qwen3-q8.gguf Q8_0
  ingot quantize Qwen3-0.6B/ qwen3-q4.gguf Q4_K_M --calibrate book.txt
  ingot quantize Qwen3-0.6B/ qwen3-q4.gguf Q4_K_M --calibrate book.txt --gptq`,
		Args: Args("SRC", "DST", "TYPE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !strings.HasSuffix(args[1], ".gguf") {
				return Usagef("DST is %q: a GGUF file's name ends in .gguf", args[1])
			}
			if _, err := quant.ParseMix(args[2]); err != nil {
				return &UsageError{err}
			}
			if err := c.check(); err != nil {
				return err
			}
			return quantize(cmd, args, again, c)
		},
	}
	c.flags(cmd.Flags())
	cmd.Flags().BoolVar(&again, "allow-requantize", false, "quantize tensors that are quantized already, which loses quality twice")
	return cmd
}

func quantize(cmd *cobra.Command, args []string, again bool, c calibration) error {
	src, err := checkpoint.Open(args[0])
	if err != nil {
		return err
	}
	before := weigh(src)
	err = c.over(cmd, src, convert.Options{AllowRequantize: again}, func(opt convert.Options) error {
		return toGGUF(cmd, src, args, args[2], opt)
	})
	if err = errors.Join(err, src.Close()); err != nil {
		return err
	}
	dst, err := checkpoint.Open(args[1])
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n%s: %s\n", args[0], before, args[1], weigh(dst))
	return dst.Close()
}

// weight is the size of a model's tensors.
type weight struct{ bytes, elems int64 }

func weigh(src quant.Source) (w weight) {
	for _, t := range src.Infos() {
		w.bytes += int64(t.Rows()) * int64(t.DType.RowBytes(t.Cols()))
		w.elems += int64(t.Elems())
	}
	return w
}

// String shows the size as a whole and for each weight.
func (w weight) String() string {
	return fmt.Sprintf("%s, %.2f bits per weight", engine.Size(w.bytes), float64(8*w.bytes)/float64(max(w.elems, 1)))
}
