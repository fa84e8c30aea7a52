package engine

import (
	"fmt"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/spf13/pflag"
)

// Options say which model to open and how to run it. Fill in by AddFlags, whose defaults
// are the zero Options' meaning.
type Options struct {
	Model       string // path: GGUF, Hugging Face directory, llama2.c
	Table       string // kernel table, "auto" = the best that proves itself
	Weights     string // where weights lie: auto, map, load or repack (model.Placement)
	Threads     int    // of the kernels, 0 = GOMAXPROCS
	Nice        int    // added to the niceness of the kernels' threads
	Activations string // auto, bf16 or int8, for products with block-quantized weights
	KVType      string // bf16, f32 or q8_0
	Context     int    // longest sequence in tokens, 0 = as trained, at most 8192
	MaxSeqs     int    // sequences computed together
	BatchTokens int    // rows of a step
	ChunkTokens int    // prompt rows of one sequence in a step, and of all where others decode
	MaxStepMS   int    // milliseconds that a step with prompts may keep who decodes, 0 = see Config.MaxStep
	MaxWaiting  int    // requests waiting for their first step
	Memory      int64  // bytes that the process may use, 0 = the machine's or cgroup's limit
	KVMemory    int64  // bytes of KV cache at most, 0 = what is left

	LoRA     []string  // adapters to open: name=folder, or a folder that gives the name
	Adapters []Adapter // adapters that are open, before those of LoRA
}

// Defaults of Options: a chunk of 512 tokens keeps the matrix products efficient; 64
// sequences are beyond what a small machine's bandwidth gains.
const (
	defaultSeqs    = 64
	defaultBatch   = 1024
	defaultChunk   = 512
	defaultWaiting = 1024
	defaultContext = 8192 // of a model that was trained with more, so that the cache stays moderate
)

// AddFlags registers a flag for every option but Model.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.StringArrayVar(&o.LoRA, "lora", nil, "adapter to serve beside the model, under a name of its own: `name=folder` in PEFT's format; may be repeated")
	fs.StringVar(&o.Table, "table", "auto", "kernel table: auto, or one that ingot doctor lists")
	fs.StringVar(&o.Weights, "weights", string(model.PlaceAuto), model.PlacementUsage)
	fs.IntVar(&o.Threads, "threads", 0, "threads that compute (default: all cores)")
	fs.IntVar(&o.Nice, "nice", 0, "added to the niceness of the computing threads; 10 smooths streaming on busy machines")
	fs.StringVar(&o.Activations, "activations", "auto", "activations that meet quantized weights: auto (the faster on this machine), bf16 or int8")
	fs.StringVar(&o.KVType, "kv-type", "bf16", "type of the KV cache: bf16, f32 or q8_0")
	fs.IntVar(&o.Context, "context", 0, fmt.Sprintf("longest sequence in tokens (default: as the model was trained, at most %d)", defaultContext))
	fs.IntVar(&o.MaxSeqs, "max-seqs", defaultSeqs, "sequences computed together")
	fs.IntVar(&o.BatchTokens, "max-batch-tokens", defaultBatch, "tokens computed in one step")
	fs.IntVar(&o.ChunkTokens, "chunk-tokens", defaultChunk, "prompt tokens of one sequence computed in one step, and of all while others get tokens")
	fs.IntVar(&o.MaxStepMS, "max-step-ms", 0, fmt.Sprintf("milliseconds that prompts may keep other streams waiting for a token: chunks are cut by what steps are measured to take (default: %d, or twice a step without prompts)", autoStep.Milliseconds()))
	fs.IntVar(&o.MaxWaiting, "max-waiting", defaultWaiting, "requests that may wait; more are refused with 429")
	fs.Int64Var(&o.Memory, "memory", 0, "bytes of memory to plan with (default: the machine's, or the cgroup's limit)")
	fs.Int64Var(&o.KVMemory, "kv-memory", 0, "bytes of KV cache at most (default: what the plan leaves, at most --max-seqs full sequences)")
}

// withDefaults returns the options with zero values filled in.
func (o Options) withDefaults() Options {
	if o.Table == "" {
		o.Table = "auto"
	}
	if o.Activations == "" {
		o.Activations = "auto"
	}
	if o.Weights == "" {
		o.Weights = string(model.PlaceAuto)
	}
	if o.KVType == "" {
		o.KVType = "bf16"
	}
	for _, d := range []struct {
		value *int
		def   int
	}{{&o.MaxSeqs, defaultSeqs}, {&o.BatchTokens, defaultBatch}, {&o.ChunkTokens, defaultChunk}, {&o.MaxWaiting, defaultWaiting}} {
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	return o
}

// ActivationsOn returns what o.Activations means on a table.
func (o Options) ActivationsOn(t *kernels.Table) (kernels.Activations, error) {
	switch o.Activations {
	case "auto":
		return t.Prefers(), nil
	case "bf16":
		return kernels.ActBF16, nil
	case "int8":
		return kernels.ActInt8, nil
	}
	return 0, fmt.Errorf("--activations is %q, want auto, bf16 or int8", o.Activations)
}

// defaultSampling is what the model's authors recommend, else plain sampling.
func defaultSampling(m metadata) sample.Params {
	p := sample.Default()
	for _, f := range []struct {
		key   string
		value *float32
	}{
		{"temp", &p.Temperature}, {"top_p", &p.TopP}, {"min_p", &p.MinP}, {"penalty_repeat", &p.RepetitionPenalty},
	} {
		*f.value = float32(m.Float("general.sampling."+f.key, float64(*f.value)))
	}
	p.TopK = m.Int("general.sampling.top_k", p.TopK)
	return p
}

// metadata is what reading defaults needs of quant.Meta.
type metadata interface {
	Float(key string, def float64) float64
	Int(key string, def int) int
}
