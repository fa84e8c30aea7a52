package checkpoint

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/gguf"
	"github.com/ingot-llm/ingot/quant/hf"
	"github.com/ingot-llm/ingot/quant/llama2c"
)

// Info describes a model as plain data. Numbers that the metadata lacks are 0.
type Info struct {
	Format       string       `json:"format"` // "GGUF", "Hugging Face", "llama2.c", or "other"
	Architecture string       `json:"architecture"`
	Name         string       `json:"name"`
	Parameters   int          `json:"parameters"` // elements of all tensors
	Bytes        int          `json:"bytes"`      // of all tensors
	Types        []TypeShare  `json:"types"`      // by bytes, largest first
	Context      int          `json:"context_length"`
	Embedding    int          `json:"embedding_length"`
	Layers       int          `json:"layers"`
	Heads        int          `json:"heads"`
	KVHeads      int          `json:"kv_heads"`
	Experts      int          `json:"experts"`
	ExpertsUsed  int          `json:"experts_used"`
	Vocabulary   int          `json:"vocabulary"`
	Tokenizer    string       `json:"tokenizer"` // kind, "" if the model has none
	ChatTemplate bool         `json:"chat_template"`
	Metadata     []Entry      `json:"metadata"`
	Tensors      []TensorInfo `json:"tensors"`
}

// TypeShare is what one storage type takes of a model.
type TypeShare struct {
	Type       string `json:"type"`
	Tensors    int    `json:"tensors"`
	Parameters int    `json:"parameters"`
	Bytes      int    `json:"bytes"`
}

// Entry is a metadata key. Value is a number, bool or string, or a slice of them; of a
// long string or slice it holds the beginning, and Length the whole's bytes or
// elements.
type Entry struct {
	Key    string `json:"key"`
	Type   string `json:"type"` // of Go, such as "uint32" or "[]string"
	Value  any    `json:"value"`
	Length int    `json:"length,omitempty"`
}

// TensorInfo is a tensor without its data.
type TensorInfo struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"` // outermost dimension first
	Bytes int    `json:"bytes"`
}

// Describe returns a description of src; it reads no tensor's data.
func Describe(src quant.Source) Info {
	m := src.Meta()
	arch := m.String("general.architecture", "")
	heads := m.Int(arch+".attention.head_count", 0)
	info := Info{
		Format: formatOf(src), Architecture: arch, Name: m.String("general.name", ""),
		Context: m.Int(arch+".context_length", 0), Embedding: m.Int(arch+".embedding_length", 0),
		Layers: m.Int(arch+".block_count", 0), Heads: heads, KVHeads: m.Int(arch+".attention.head_count_kv", heads),
		Experts: m.Int(arch+".expert_count", 0), ExpertsUsed: m.Int(arch+".expert_used_count", 0),
		Vocabulary: vocabulary(src, arch), Tokenizer: tokenizerOf(m), ChatTemplate: m.Has("tokenizer.chat_template"),
	}
	for _, key := range m.Keys() {
		info.Metadata = append(info.Metadata, entry(key, m.Get(key)))
	}
	for _, t := range src.Infos() {
		info.add(t)
	}
	slices.SortStableFunc(info.Types, func(a, b TypeShare) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return info
}

func formatOf(src quant.Source) string {
	switch src.(type) {
	case *gguf.Source:
		return "GGUF"
	case *hf.Source:
		return "Hugging Face"
	case *llama2c.Source:
		return "llama2.c"
	}
	return "other"
}

func (i *Info) add(t quant.Tensor) {
	n, bytes := t.Elems(), t.Rows()*t.DType.RowBytes(t.Cols())
	i.Parameters += n
	i.Bytes += bytes
	i.Tensors = append(i.Tensors, TensorInfo{Name: t.Name, Type: t.DType.String(), Shape: t.Shape, Bytes: bytes})
	at := slices.IndexFunc(i.Types, func(s TypeShare) bool { return s.Type == t.DType.String() })
	if at < 0 {
		at = len(i.Types)
		i.Types = append(i.Types, TypeShare{Type: t.DType.String()})
	}
	i.Types[at].Tensors++
	i.Types[at].Parameters += n
	i.Types[at].Bytes += bytes
}

// vocabulary returns the number of tokens: those listed, else what the metadata says,
// else the rows of the embedding.
func vocabulary(src quant.Source, arch string) int {
	if n := len(src.Meta().Strings("tokenizer.ggml.tokens")); n > 0 {
		return n
	}
	n := src.Meta().Int(arch+".vocab_size", 0)
	for _, t := range src.Infos() {
		if n == 0 && t.Name == "token_embd.weight" {
			n = t.Rows()
		}
	}
	return n
}

// tokenizerKinds names GGUF's kinds of tokenizer.
var tokenizerKinds = map[string]string{
	"llama": "SentencePiece BPE", "gpt2": "byte-level BPE", "bert": "WordPiece", "t5": "SentencePiece Unigram",
}

func tokenizerOf(m *quant.Meta) string {
	if kind := m.String("tokenizer.ggml.model", ""); kind != "" {
		if name, ok := tokenizerKinds[kind]; ok {
			return name
		}
		return kind
	}
	var file struct {
		Model struct {
			Type string `json:"type"`
		} `json:"model"`
	}
	if json.Unmarshal([]byte(m.String("tokenizer.huggingface.json", "")), &file) != nil {
		return ""
	}
	return file.Model.Type + " (tokenizer.json)"
}

// Most bytes of a string and elements of a slice that an Entry shows.
const (
	shownBytes    = 200
	shownElements = 8
)

func entry(key string, value any) Entry {
	e := Entry{Key: key, Type: fmt.Sprintf("%T", value), Value: value}
	v := reflect.ValueOf(value)
	switch {
	case v.Kind() == reflect.String && v.Len() > shownBytes:
		e.Length = v.Len()
		e.Value = cut(v.String())
	case v.Kind() == reflect.Slice:
		e.Length = v.Len()
		e.Value = shown(v)
	}
	return e
}

// cut returns the beginning of a string in whole runes.
func cut(s string) string {
	n := shownBytes
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// shown returns a slice's first elements, as a slice that JSON writes as an array even
// of bytes.
func shown(v reflect.Value) []any {
	out := make([]any, min(v.Len(), shownElements))
	for i := range out {
		out[i] = v.Index(i).Interface()
	}
	return out
}
