package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingot-llm/ingot/engine/calib"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/convert"
)

// calibration are the flags of quantizing by what a text makes the weights multiply.
type calibration struct {
	file   string // the text; "" = without
	tokens int
}

func (c *calibration) flags(f *pflag.FlagSet) {
	f.StringVar(&c.file, "calibrate", "", "text `file` over which the model says which columns of its weights count")
	f.IntVar(&c.tokens, "calibrate-tokens", 32768, "tokens of it that are read")
}

func (c *calibration) check() error {
	if c.tokens < 2 {
		return Usagef("--calibrate-tokens is %d, want at least 2", c.tokens)
	}
	return nil
}

// apply sets what of the conversion calibration steers, and tells what was calibrated.
func (c *calibration) apply(cmd *cobra.Command, src quant.Source, opt *convert.Options) error {
	if c.file == "" {
		return nil
	}
	text, err := c.text()
	if err != nil {
		return err
	}
	library := kernels.Open(0, kernels.Options{})
	defer library.Close()
	table, err := library.Select("auto", slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	m, err := c.measure(cmd, src, calib.Options{Table: table, Text: text, Tokens: c.tokens})
	if err != nil {
		return fmt.Errorf("cannot calibrate: %w", err)
	}
	if r, ok := src.(quant.Releaser); ok {
		r.Release() // conversion takes one tensor at a time
	}
	opt.Importance = m.Of
	fmt.Fprintf(cmd.OutOrStdout(), "calibrated on %d tokens of %s%s\n", m.Tokens, c.file, unmeasured(src, m))
	return nil
}

func (c *calibration) measure(cmd *cobra.Command, src quant.Source, o calib.Options) (m *calib.Importance, err error) {
	p := NewProgress(cmd.ErrOrStderr(), "calibrating", false)
	defer p.Done()
	o.Progress = func(done, total int) { p.Set(int64(done), int64(total)) }
	m, err = calib.Measure(cmd.Context(), src, o)
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted: nothing was written")
	}
	return m, err
}

// bytesPerToken is more than the mean length of a token in any text that calibrates.
const bytesPerToken = 64

// text reads as much of the file as the tokens can be cut from.
func (c *calibration) text() (string, error) {
	f, err := os.Open(c.file)
	if err != nil {
		return "", fmt.Errorf("cannot read the text to calibrate on: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(c.tokens)*bytesPerToken))
	return strings.ToValidUTF8(string(text), ""), err
}

// unmeasured names the matrices that the text did not reach.
func unmeasured(src quant.Source, m *calib.Importance) string {
	var never []string
	unused, experts := 0, 0
	for _, t := range src.Infos() {
		if len(t.Shape) < 2 || !strings.HasSuffix(t.Name, ".weight") {
			continue
		}
		sums := m.Of(t.Name)
		if sums == nil {
			never = append(never, t.Name)
		}
		for e := 0; len(sums) > t.Cols() && e < len(sums); e += t.Cols() {
			experts++
			if !positive(sums[e:][:t.Cols()]) {
				unused++
			}
		}
	}
	var s strings.Builder
	if len(never) > 0 {
		fmt.Fprintf(&s, "; no product reads %s", strings.Join(never, ", "))
	}
	if unused > 0 {
		fmt.Fprintf(&s, "; no token went to %d of %d experts' matrices, which are quantized without", unused, experts)
	}
	return s.String()
}

func positive(sums []float32) bool {
	for _, v := range sums {
		if v > 0 {
			return true
		}
	}
	return false
}
