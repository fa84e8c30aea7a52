package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/lora"
	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/engine/sched"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/kv"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
)

// Info is what is known of an opened model; it does not change.
type Info struct {
	ID                  string
	Created             time.Time
	Arch, Type          string // architecture; the type that most weights have
	Parameters          int64
	Context, Vocab      int
	EmbeddingDim        int // of an encoder's vectors
	Generates, Embeds   bool
	Table               string
	Activations, KVType string
	Weights             string // where they lie: map, load or repack
	BlockTokens, Blocks int
	Memory              MemoryPlan
	DefaultSampling     sample.Params
	Adapters            []string // names that requests may ask for
}

// opened is everything that Open has made, in the order it is taken down.
type opened struct {
	info    Info
	source  quant.Source
	library *kernels.Library
	table   *kernels.Table
	stack   *lora.Stack // of adapters, nil without
	model   *model.Model
	runner  *runner
	tok     *tokenizer.Tokenizer
	chat    *chat.Format
}

func (o *opened) close() error {
	if o.runner != nil {
		o.runner.Close()
	}
	if o.model != nil {
		o.model.Program.Close()
	}
	if o.stack != nil {
		o.stack.Close()
	}
	if o.library != nil {
		o.library.Close()
	}
	if o.source != nil {
		return o.source.Close()
	}
	return nil
}

// Open opens a model, plans its memory, and starts an engine on it. Close gives
// everything back. log may be nil.
func Open(o Options, log *slog.Logger) (*Engine, error) {
	src, err := checkpoint.Open(o.Model)
	if err != nil {
		return nil, err
	}
	return OpenSource(src, o, log)
}

// OpenSource is Open of a model that is open already, named by o.Model; the engine closes it.
func OpenSource(src quant.Source, o Options, log *slog.Logger) (*Engine, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &opened{source: src}
	cfg, err := m.open(o.withDefaults(), log)
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	e, err := New(*cfg)
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	e.opened = m
	return e, nil
}

// open is the recipe: the model and, beside it, its text.
func (m *opened) open(o Options, log *slog.Logger) (*Config, error) {
	text := make(chan error, 1)
	go func(meta *quant.Meta) { text <- m.openText(meta) }(m.source.Meta())
	blocks, err := m.openModel(&o, log)
	if err = errors.Join(err, <-text); err != nil {
		return nil, err
	}
	if m.tok.Vocab() > m.model.Vocab {
		return nil, fmt.Errorf("the tokenizer has %d tokens but the model's embedding has %d rows", m.tok.Vocab(), m.model.Vocab)
	}
	m.describe(&o)
	return &Config{
		Model: m.runner, Tokenizer: m.tok, Table: m.table, EndTokens: m.tok.EOGs(), Log: log,
		MaxStep: time.Duration(o.MaxStepMS) * time.Millisecond, Adapters: m.info.Adapters,
		Sched: sched.Config{
			MaxSeqs: o.MaxSeqs, MaxBatchTokens: o.BatchTokens, ChunkTokens: o.ChunkTokens, MaxContext: o.Context,
			MaxWaiting: o.MaxWaiting, PromptLogitRows: promptLogitRows, Blocks: blocks, Model: m.info.ID,
		},
	}, nil
}

// openModel makes what computes: kernels, program, memory. It returns the cache's blocks.
func (m *opened) openModel(o *Options, log *slog.Logger) (blocks int, err error) {
	m.library = kernels.Open(o.Threads, kernels.Options{Nice: o.Nice})
	if m.table, err = m.library.Select(o.Table, log); err != nil {
		return 0, err
	}
	if o.Memory == 0 {
		if o.Memory, err = MemoryLimit("/"); err != nil {
			return 0, err
		}
	}
	if err := m.load(o); err != nil {
		return 0, err
	}
	limits, err := m.plan(o, log)
	if err != nil {
		return 0, err
	}
	r, err := kernels.NewRunner(m.model.Program, m.table, limits)
	if err != nil {
		return 0, err
	}
	m.runner = &runner{Runner: r}
	return limits.Blocks, nil
}

// load builds the program, and settles what depends on the model's own numbers.
func (m *opened) load(o *Options) (err error) {
	placement, err := model.ParsePlacement(o.Weights)
	if err != nil {
		return err
	}
	act, err := o.ActivationsOn(m.table)
	if err != nil {
		return err
	}
	kvType, err := kernels.ParseKVType(o.KVType)
	if err != nil {
		return err
	}
	build := model.Options{Activations: act, KV: kvType, Context: o.Context}
	if build.Adapters, err = m.openAdapters(o); err != nil {
		return err
	}
	if m.model, err = model.Load(m.source, build); err != nil {
		return err
	}
	if placement, err = m.model.Place(m.source, placement, m.table, m.library, o.Memory); err != nil {
		return err
	}
	if o.Context == 0 {
		o.Context = min(m.model.Context, defaultContext)
	}
	if o.Context > m.model.Context {
		return fmt.Errorf("--context is %d, but the model was trained for %d tokens", o.Context, m.model.Context)
	}
	if m.model.Family.Encoder {
		o.ChunkTokens, o.BatchTokens = max(o.ChunkTokens, o.Context), max(o.BatchTokens, o.Context)
	}
	o.ChunkTokens = min(o.ChunkTokens, o.BatchTokens)
	o.MaxSeqs = min(o.MaxSeqs, o.BatchTokens)
	m.info.Activations, m.info.Weights = act.String(), string(placement)
	return nil
}

// promptLogitRows bounds the prompt rows of a step whose logits are wanted, since a row of
// a large vocabulary takes half a megabyte.
const promptLogitRows = 64

// plan shares out the memory: the KV cache gets what is left, up to MaxSeqs sequences of
// full length.
func (m *opened) plan(o *Options, log *slog.Logger) (kernels.Limits, error) {
	limits := kernels.Limits{Tokens: o.BatchTokens, LogitRows: o.MaxSeqs + promptLogitRows, Seqs: o.MaxSeqs}
	p := MemoryPlan{Limit: o.Memory, Block: int64(m.model.Program.BlockBytes())}
	for _, t := range m.source.Infos() {
		p.Weights += int64(t.DType.RowBytes(t.Cols())) * int64(t.Rows())
	}
	if m.stack != nil {
		p.Weights += m.stack.Bytes()
	}
	p.Activation = int64(m.model.Program.Plan(limits, m.table).ArenaBytes)
	need := kv.Blocks(o.Context)
	want := need * o.MaxSeqs
	if o.KVMemory > 0 {
		want = int(min(int64(want), o.KVMemory/p.Block))
	}
	if want < need {
		return limits, fmt.Errorf("--kv-memory %s holds %d tokens, less than one sequence of --context %d, which takes %s",
			Size(o.KVMemory), want*kv.BlockTokens, o.Context, Size(int64(need)*p.Block))
	}
	p, err := planMemory(p, need, want)
	if err != nil {
		return limits, err
	}
	limits.Blocks, m.info.Memory = p.Blocks, p
	log.Info("memory planned", "plan", p.String())
	return limits, nil
}

// openText makes the tokenizer and, if the model brings a template, the chat format.
func (m *opened) openText(meta *quant.Meta) (err error) {
	if m.tok, err = tokenizer.New(meta); err != nil {
		return err
	}
	m.chat, err = chat.NewFormat(meta.String("tokenizer.chat_template", ""), m.tok.TokenText(m.tok.BOS()), m.tok.TokenText(m.tok.EOS()))
	if errors.Is(err, chat.ErrNoTemplate) {
		return nil
	}
	return err
}

// describe fills in what the API tells of the model.
func (m *opened) describe(o *Options) {
	i := &m.info
	i.ID, i.Created = strings.TrimSuffix(strings.TrimSuffix(filepath.Base(filepath.Clean(o.Model)), ".gguf"), ".bin"), time.Now()
	byType, most := map[quant.DType]int64{}, quant.F32
	for _, t := range m.source.Infos() {
		i.Parameters += int64(t.Elems())
		if byType[t.DType] += int64(t.Elems()); byType[t.DType] > byType[most] {
			most = t.DType
		}
	}
	i.Type = most.String()
	i.Arch, i.Context, i.Vocab = m.model.Arch, o.Context, m.model.Vocab
	i.Embeds = m.model.Family.Encoder
	i.Generates = !i.Embeds && !m.model.Scores
	if i.Embeds {
		i.EmbeddingDim = m.model.Dim
	}
	i.Table, i.KVType = m.table.Name, o.KVType
	i.BlockTokens, i.Blocks = kv.BlockTokens, i.Memory.Blocks
	i.DefaultSampling = defaultSampling(m.source.Meta())
}
