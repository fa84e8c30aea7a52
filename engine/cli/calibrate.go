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

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/calib"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/convert"
)

// calibration are the flags of quantizing by what a text makes the weights multiply.
type calibration struct {
	file   string // the text; "" = without
	tokens int
	gptq   bool
}

func (c *calibration) flags(f *pflag.FlagSet) {
	f.StringVar(&c.file, "calibrate", "", "text `file` over which the model says which columns of its weights count")
	f.IntVar(&c.tokens, "calibrate-tokens", 32768, "tokens of it that are read")
	f.BoolVar(&c.gptq, "gptq", false, "with --calibrate: let later columns make good the errors of earlier ones (GPTQ)")
}

func (c *calibration) check() error {
	switch {
	case c.tokens < 2:
		return Usagef("--calibrate-tokens is %d, want at least 2", c.tokens)
	case c.gptq && c.file == "":
		return Usagef("--gptq needs a text to measure on: --calibrate FILE")
	}
	return nil
}

// over calls work with the options of a conversion, steered by what the text says, and
// tells what that was.
func (c *calibration) over(cmd *cobra.Command, src quant.Source, opt convert.Options, work func(convert.Options) error) error {
	if c.file == "" {
		return work(opt)
	}
	text, err := c.text()
	if err != nil {
		return err
	}
	r := calibrationRun{cmd: cmd, src: src, library: kernels.Open(0, kernels.Options{})}
	defer r.library.Close()
	if err := r.open(text, c.tokens); err != nil {
		return err
	}
	m, err := r.importance()
	if err != nil {
		return err
	}
	opt.Importance = m.Of
	fmt.Fprintf(cmd.OutOrStdout(), "calibrated on %d tokens of %s%s\n", m.Tokens, c.file, unmeasured(src, m))
	if !c.gptq {
		release(src)
		return work(opt)
	}
	return r.feedback(m, opt, work)
}

// calibrationRun is a calibration at work.
type calibrationRun struct {
	cmd     *cobra.Command
	src     quant.Source
	library *kernels.Library
	read    calib.Options
	bar     *Progress
}

func (r *calibrationRun) open(text string, tokens int) error {
	log := slog.New(slog.NewTextHandler(r.cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	table, err := r.library.Select("auto", log)
	r.read = calib.Options{Table: table, Text: text, Tokens: tokens, Progress: func(done, total int) { r.bar.Set(int64(done), int64(total)) }}
	return err
}

// shown does work in which the model may read the text, and shows how far it is.
func (r *calibrationRun) shown(work func() error) error {
	r.bar = NewProgress(r.cmd.ErrOrStderr(), "calibrating", false)
	defer r.bar.Done()
	err := work()
	if err != nil && !errors.Is(err, context.Canceled) {
		err = fmt.Errorf("cannot calibrate: %w", err)
	}
	return err
}

func (r *calibrationRun) importance() (m *calib.Importance, err error) {
	err = r.shown(func() error {
		m, err = calib.Measure(r.cmd.Context(), r.src, r.read)
		return err
	})
	return m, err
}

// feedback calls work with options by which errors are fed back.
func (r *calibrationRun) feedback(m *calib.Importance, opt convert.Options, work func(convert.Options) error) error {
	limit, err := engine.MemoryLimit("/")
	if err != nil {
		return err
	}
	p := calib.NewProducts(r.src, m, limit/productShare, r.read)
	defer p.Close()
	opt.Feedback = func(name string) (f *quant.Feedback, err error) {
		err = r.shown(func() error {
			f, err = p.Feedback(r.cmd.Context(), name)
			return err
		})
		return f, err
	}
	return work(opt)
}

// release gives back what memory the source holds: conversion takes one tensor at a time.
func release(src quant.Source) {
	if r, ok := src.(quant.Releaser); ok {
		r.Release()
	}
}

// productShare is the part of the memory that sums of products may take; what is made of
// them takes half as much again.
const productShare = 4

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
