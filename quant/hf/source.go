package hf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/mmap"
	"github.com/ingot-llm/ingot/quant/safetensors"
)

// Source is an opened model directory. It implements quant.Source.
type Source struct {
	meta   *quant.Meta
	file   *safetensors.File
	order  []*entry
	byName map[string]*entry
}

// entry is a tensor in GGUF's vocabulary with the way to make it.
type entry struct {
	info   quant.Tensor // without Data
	recipe recipe
	once   sync.Once
	made   []byte // off the Go heap, where the tensor does not lie in a file
	err    error
}

// Open opens the model directory dir. A model that Ingot does not support is refused
// by the name of its class or of the field that it cannot honour.
func Open(dir string) (*Source, error) { return openConfig(dir, "config.json") }

func openConfig(dir, configName string) (*Source, error) {
	c, err := readConfig(filepath.Join(dir, configName))
	if err != nil {
		return nil, err
	}
	s := &Source{meta: &quant.Meta{}, byName: map[string]*entry{}}
	if err := s.open(dir, c); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open the model in %q: %w", dir, err), s.Close())
	}
	return s, nil
}

func (s *Source) open(dir string, c *config) error {
	f, scores, err := lookup(c)
	if err != nil {
		return err
	}
	literals := f.describe(c, scores, s.meta)
	if c.err != nil {
		return c.err
	}
	if !s.meta.Has("general.name") {
		s.meta.Set("general.name", name(dir, c))
	}
	if err := readTokenizer(dir, c, s.meta); err != nil {
		return err
	}
	if err := readPooling(dir, f, s.meta); err != nil {
		return err
	}
	if c.err != nil {
		return c.err
	}
	if s.file, err = safetensors.OpenDir(dir); err != nil {
		return weightsError(dir, err)
	}
	if err := s.bind(f, c, literals); err != nil {
		return err
	}
	return c.err
}

// weightsError explains a directory without safetensors.
func weightsError(dir string, err error) error {
	pickles, _ := filepath.Glob(filepath.Join(dir, "pytorch_model*.bin"))
	if errors.Is(err, os.ErrNotExist) && len(pickles) > 0 {
		return fmt.Errorf("its weights are a pickle (%s), which can run code and is not read; convert it to safetensors", filepath.Base(pickles[0]))
	}
	return err
}

// name returns the model's name: what config.json calls it, else its folder.
func name(dir string, c *config) string {
	if n := filepath.Base(c.text("_name_or_path", "")); n != "." && n != "/" {
		return n
	}
	if abs, err := filepath.Abs(dir); err == nil {
		return filepath.Base(abs)
	}
	return filepath.Base(dir)
}

// maxLayers bounds what a config.json can make us do.
const maxLayers = 4096

// describe reads config.json into the metadata and returns literal tensors.
func (f *family) describe(c *config, scores bool, m *quant.Meta) map[string][]float32 {
	for _, x := range f.fixed {
		x.check(c)
	}
	m.Set("general.architecture", f.arch)
	m.Set("general.type", "model")
	for _, x := range f.facts {
		x.read(c, f.arch, m)
	}
	layers := m.Int(f.arch+".block_count", 0)
	if layers < 1 || layers > maxLayers {
		c.fail("%d layers are not within 1 to %d", layers, maxLayers)
	}
	if c.err != nil {
		return nil
	}
	if f.modelType == "gpt2" && !c.has("n_inner") {
		m.Set("gpt2.feed_forward_length", uint32(4*m.Int("gpt2.embedding_length", 0)))
	}
	f.readActivation(c, m)
	f.readWindows(c, layers, m)
	f.readSkips(c, layers, m)
	literals := f.readRope(c).put(c, f, m)
	if Permuted(f.arch) {
		m.Set(LayoutKey, LayoutHalf)
	}
	if scores {
		m.Set(f.arch+".pooling_type", uint32(poolingRank))
		if labels := labels(c); labels != nil {
			m.Set(f.arch+".classifier.output_labels", labels)
		}
	}
	if f.arch == "bert" {
		m.Set("bert.attention.causal", false)
	}
	return literals
}

const activationKey = "ingot.activation"

func (f *family) readActivation(c *config, m *quant.Meta) {
	act := f.act.def
	for _, field := range slices.Backward(f.act.fields) {
		act = c.text(field, act)
	}
	if !slices.Contains(activations, act) {
		c.fail("%s is %q, which is not supported (supported: %s)", f.act.fields[0], act, strings.Join(activations, ", "))
	}
	if f.act.key {
		m.Set(activationKey, act)
	}
}

// labels returns a classifier's labels in order of their numbers, or nil.
func labels(c *config) []string {
	byID := c.sub("id2label")
	out := make([]string, len(byID.fields))
	for i := range out {
		out[i] = byID.text(fmt.Sprint(i), "")
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// bind makes an entry of every rule that applies, and refuses tensors that none does.
func (s *Source) bind(f *family, c *config, literals map[string][]float32) error {
	m := model{
		layers: s.meta.Int(f.arch+".block_count", 0), heads: s.meta.Int(f.arch+".attention.head_count", 0),
		experts: s.meta.Int(f.arch+".expert_count", 0),
	}
	b := binder{Source: s, model: m, prefix: s.prefix(f), used: map[string]bool{}}
	for _, r := range f.rules {
		tied := r.gguf == "output.weight" && c.flag("tie_word_embeddings", false)
		if tied {
			b.used[b.prefix+r.hf] = true
			continue
		}
		for l := range r.links(m) {
			if err := b.link(l, r.optional); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{freqsName, longName, shortName} {
		if v := literals[name]; v != nil {
			s.add(quant.Tensor{Name: name, DType: quant.F32, Shape: []int{len(v)}}, recipe{values: v})
		}
	}
	return b.leftovers()
}

// prefix returns what the file's names have before a rule's.
func (s *Source) prefix(f *family) string {
	for _, p := range prefixes[f.modelType] {
		if _, ok := s.file.Lookup(p + f.rules[0].hf); ok {
			return p
		}
	}
	return ""
}

func (s *Source) add(t quant.Tensor, r recipe) {
	e := &entry{info: t, recipe: r}
	s.order = append(s.order, e)
	s.byName[t.Name] = e
}

// binder ties the file's tensors to entries.
type binder struct {
	*Source
	model  model
	prefix string
	used   map[string]bool // of the file's names
}

// oldName gives what files converted from TensorFlow call a LayerNorm's parts.
var oldName = strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta")

func (b *binder) link(l link, optional bool) error {
	l.hf = b.prefix + l.hf
	for _, name := range []string{l.hf, oldName.Replace(l.hf)} {
		if t, ok := b.file.Lookup(name); ok {
			b.used[name] = true
			return b.part(l, t)
		}
	}
	blocks, ok := b.file.Lookup(l.hf + blocksSuffix)
	if ok {
		return b.blocks(l, blocks)
	}
	if optional {
		return nil
	}
	return fmt.Errorf("%w: the files lack %q", quant.ErrNoTensor, l.hf)
}

// part adds a tensor's share to its entry, which the first share makes.
func (b *binder) part(l link, raw safetensors.Tensor) error {
	t, err := raw.Quant(l.gguf)
	if err == nil {
		err = checkFloat(t)
	}
	if err == nil {
		err = l.fromHF(t.Shape, b.model)
	}
	if err != nil {
		return err
	}
	e := b.byName[l.gguf]
	if e == nil {
		out := quant.Tensor{Name: l.gguf, DType: target(l.gguf, t), Shape: l.ggufShape}
		r := recipe{}
		if l.form == onePlus {
			r.plus = 1
		}
		b.add(out, r)
		e = b.byName[l.gguf]
	} else if !slices.Equal(e.info.Shape, l.ggufShape) {
		return fmt.Errorf("tensor %q has shape %v, unlike the other experts' %v", l.hf, t.Shape, e.info.Shape[1:])
	}
	e.recipe.parts = append(e.recipe.parts, part{from: t, move: l.toGGUF})
	return nil
}

// target returns the type a tensor has in GGUF: norms, biases and all other vectors
// are F32, the rest is as it lies.
func target(name string, t quant.Tensor) quant.DType {
	if inF32(name, t.Shape) {
		return quant.F32
	}
	return t.DType
}

func inF32(name string, shape []int) bool { return len(shape) == 1 || strings.HasSuffix(name, ".bias") }

func (b *binder) blocks(l link, blocks safetensors.Tensor) error {
	scales, ok := b.file.Lookup(l.hf + scalesSuffix)
	if !ok {
		return fmt.Errorf("%w: the files lack %q", quant.ErrNoTensor, l.hf+scalesSuffix)
	}
	b.used[blocks.Name], b.used[scales.Name] = true, true
	m, shape, err := published(blocks, scales, l.form)
	if err != nil {
		return err
	}
	b.add(quant.Tensor{Name: l.gguf, DType: quant.MXFP4, Shape: shape}, recipe{mxfp4: m})
	return nil
}

// leftovers refuses a file with weights that no rule knows.
func (b *binder) leftovers() error {
	for _, t := range b.file.Tensors() {
		isUnused := func(ending string) bool { return strings.HasSuffix(t.Name, ending) }
		begins := func(start string) bool { return strings.HasPrefix(t.Name, start) }
		if !b.used[t.Name] && !slices.ContainsFunc(unused, isUnused) && !slices.ContainsFunc(unusedPrefixes, begins) {
			return fmt.Errorf("tensor %q is no part of a %s model", t.Name, b.meta.String("general.architecture", ""))
		}
	}
	return nil
}

// Meta implements quant.Source.
func (s *Source) Meta() *quant.Meta { return s.meta }

// Infos implements quant.Source; the order is that of the family's rules.
func (s *Source) Infos() []quant.Tensor {
	out := make([]quant.Tensor, len(s.order))
	for i, e := range s.order {
		out[i] = e.info
	}
	return out
}

// Tensor implements quant.Source. A tensor that no file has as GGUF has it is made
// when it is first asked for, off the Go heap, and kept until Close.
func (s *Source) Tensor(name string) (quant.Tensor, error) {
	e, ok := s.byName[name]
	if !ok {
		return quant.Tensor{}, fmt.Errorf("%w: %q", quant.ErrNoTensor, name)
	}
	t := e.info
	if e.recipe.asItLies(t) {
		t.Data = e.recipe.parts[0].from.Data
		return t, nil
	}
	e.once.Do(func() {
		if e.made, e.err = mmap.Alloc(size(t)); e.err == nil {
			e.recipe.fill(t, e.made)
		}
	})
	t.Data = e.made
	return t, e.err
}

// Once is Tensor for a reader that passes each tensor on once: what must be made is
// made in memory that alloc gives, exactly as long as asked for, and nothing is kept.
func (s *Source) Once(name string, alloc func(n int) ([]byte, error)) (quant.Tensor, error) {
	e, ok := s.byName[name]
	if !ok || e.recipe.asItLies(e.info) {
		return s.Tensor(name)
	}
	t := e.info
	var err error
	if t.Data, err = alloc(size(t)); err == nil {
		e.recipe.fill(t, t.Data)
	}
	return t, err
}

// Release implements quant.Releaser.
func (s *Source) Release() {
	for _, e := range s.order {
		_ = mmap.Free(e.made)
		e.made, e.once = nil, sync.Once{}
	}
	s.file.Release()
}

// Close frees all memory; every tensor's Data ends with it.
func (s *Source) Close() error {
	var errs []error
	for _, e := range s.order {
		errs = append(errs, mmap.Free(e.made))
		e.made = nil
	}
	if s.file != nil {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}

// IsDir reports whether dir looks like a model directory: it has a config.json.
func IsDir(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "config.json"))
	return err == nil && info.Mode().IsRegular()
}
