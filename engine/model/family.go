package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// Family is an architecture: its name in GGUF, its diagram, and the defaults that its
// files leave out.
type Family struct {
	Arch  string
	Build func(b *builder) kernels.Value
	// Act of the feed-forward (of the gate if there is one).
	Act kernels.Act
	// Layout of the rotary pairs in GGUF's rows of q and k.
	Layout kernels.Layout
	// WindowEvery n: every n-th layer attends to all, the others within the window;
	// 0 = every layer has the window, if the file gives one.
	WindowEvery int
	// NoPEEvery n: every n-th layer has no rotary embedding; 0 = none.
	NoPEEvery int
	// LocalBase is the rotary base of layers with a window, 0 = the common one.
	LocalBase float32
	// Encoder: every token sees every token, and the output is hidden states.
	Encoder bool
}

// families is the table of what Ingot runs.
var families = []Family{
	{Arch: "llama", Build: llama, Layout: kernels.RopeInterleaved}, // also Mistral and Mixtral
	{Arch: "qwen2", Build: llama},
	{Arch: "qwen3", Build: qwen3},
	{Arch: "qwen3moe", Build: qwen3},
	{Arch: "gemma2", Build: gemma2, Act: kernels.GELUTanh, WindowEvery: 2},
	{Arch: "gemma3", Build: gemma3, Act: kernels.GELUTanh, WindowEvery: 6, LocalBase: 10000},
	{Arch: "phi3", Build: phi3},
	{Arch: "gpt-oss", Build: gptOSS, WindowEvery: 2},
	{Arch: "olmo2", Build: olmo2},
	{Arch: "smollm3", Build: llama, Layout: kernels.RopeInterleaved, NoPEEvery: 4},
	{Arch: "granite", Build: granite, Layout: kernels.RopeInterleaved},
	{Arch: "gptneox", Build: gptNeoX, Act: kernels.GELUErf},
	{Arch: "gpt2", Build: gpt2, Act: kernels.GELUTanh},
	{Arch: "bert", Build: bert, Act: kernels.GELUErf, Encoder: true},
}

// Lookup returns the family of GGUF's architecture name; an unknown one is refused by
// name.
func Lookup(arch string) (*Family, error) {
	for i := range families {
		if families[i].Arch == arch {
			return &families[i], nil
		}
	}
	return nil, fmt.Errorf("architecture %q is not supported: Ingot runs %s", arch, strings.Join(Names(), ", "))
}

// Names lists the architectures that Ingot runs, sorted.
func Names() []string {
	var out []string
	for _, f := range families {
		out = append(out, f.Arch)
	}
	slices.Sort(out)
	return out
}

// Model is an architecture bound to a file's weights: a program ready to be planned and
// run. It is immutable; the source must outlive it.
type Model struct {
	Config
	Family  *Family
	Program *kernels.Program
	Vocab   int
	// Scores: the head gives labels (sequence classification) instead of next tokens.
	Scores bool
}

// Options choose between programs that differ in precision only.
type Options struct {
	Activations kernels.Activations // of products with block-quantized weights
	KV          kernels.KVType
	// Context that sequences may reach, which decides between the short and the long
	// factors of LongRoPE; 0 = as trained.
	Context int
	// Adapters, where it is given, returns the adapters of a weight (kernels.Builder.Adapt).
	Adapters func(w kernels.Tensor) kernels.LowRank
	// Observe, where it is given, says which weights' inputs are summed up (kernels.Builder.Observe).
	Observe func(w kernels.Tensor) kernels.Observation
	// Train, where it is given, makes a program that trains: its output is the loss of each
	// row of logits, or with Upstream what it is of a program that serves (kernels.Training).
	Train *kernels.Training
}

// Load builds the program of the model in src. A tensor that is missing, does not fit or
// is not known to the family is an error that names it.
func Load(src quant.Source, o Options) (m *Model, err error) {
	f, err := Lookup(src.Meta().String("general.architecture", ""))
	if err != nil {
		return nil, err
	}
	c, err := ReadConfig(src.Meta(), f)
	if err != nil {
		return nil, err
	}
	if o.Context == 0 {
		o.Context = c.Context
	}
	b := &builder{Builder: kernels.NewBuilder(o.Activations, o.KV), Config: c, Weights: newWeights(src), options: o}
	defer func() {
		e := recover()
		if e != nil || err != nil {
			b.Close()
		}
		switch e := e.(type) {
		case nil:
		case unfit:
			m, err = nil, fmt.Errorf("cannot build a %s model: %w", f.Arch, e.err)
		case *kernels.ShapeError:
			m, err = nil, fmt.Errorf("cannot build a %s model: %w", f.Arch, e)
		default:
			panic(e)
		}
	}()
	if o.Train != nil {
		if f.Encoder && o.Train.Upstream == nil {
			return nil, fmt.Errorf("a %s model is an encoder: there is no loss of a next token to train it with", f.Arch)
		}
		b.Train(*o.Train)
	}
	if o.Adapters != nil {
		b.Adapt(o.Adapters)
	}
	b.Observe(o.Observe)
	b.Output(f.Build(b))
	if extra := b.unknown(); len(extra) > 0 {
		return nil, fmt.Errorf("the model has %d tensors that the %s architecture does not know, such as %q", len(extra), f.Arch, extra[0])
	}
	vocab := b.W("token_embd").Shape[0]
	return &Model{Config: c, Family: f, Program: b.Program(), Vocab: vocab, Scores: b.Has("cls.output")}, nil
}
