package server

import (
	"fmt"
	"slices"

	"github.com/valyala/fasthttp"
)

// modelCard describes a name of the model as OpenAI does, with vLLM's max_model_len and
// our own facts beside.
type modelCard struct {
	ID          string    `json:"id"`
	Object      string    `json:"object"`
	Created     int64     `json:"created"`
	OwnedBy     string    `json:"owned_by"`
	MaxModelLen int       `json:"max_model_len"`
	Parent      string    `json:"parent,omitempty"` // of an adapter: the model
	Meta        modelMeta `json:"meta"`
}

type modelMeta struct {
	Architecture string `json:"architecture"`
	Type         string `json:"type"`
	Parameters   int64  `json:"parameters"`
	Vocab        int    `json:"vocab_size"`
	EmbeddingDim int    `json:"embedding_dimensions"`
	Table        string `json:"kernels"`
	Chat         bool   `json:"chat"`
	Generates    bool   `json:"generates"`
	Embeds       bool   `json:"embeds"`
}

func (s *Server) card(name string) modelCard {
	i := &s.model.Info
	parent := ""
	if s.isAdapter(name) {
		parent = s.names[0]
	}
	return modelCard{ID: name, Object: "model", Created: i.Created.Unix(), OwnedBy: "ingot", MaxModelLen: i.Context, Parent: parent,
		Meta: modelMeta{i.Arch, i.Type, i.Parameters, i.Vocab, i.EmbeddingDim, i.Table, s.model.Chat != nil, i.Generates, i.Embeds}}
}

// checkAdapters refuses an adapter whose name is one of the model's or another adapter's.
func (s *Server) checkAdapters() error {
	for i, name := range s.model.Info.Adapters {
		if slices.Contains(s.names, name) || slices.Contains(s.model.Info.Adapters[:i], name) {
			return fmt.Errorf("two models have the name %q: give the adapter another one (--lora name=folder)", name)
		}
	}
	return nil
}

// isAdapter reports whether the model goes with an adapter under that name.
func (s *Server) isAdapter(name string) bool { return slices.Contains(s.model.Info.Adapters, name) }

// shown returns what an answer to a request for name calls its model.
func (s *Server) shown(name string) string {
	if s.isAdapter(name) {
		return name
	}
	return s.names[0]
}

// listModels answers GET /v1/models: one model, under each of its names and with each of its
// adapters.
func (s *Server) listModels(ctx *fasthttp.RequestCtx) {
	list := struct {
		Object string      `json:"object"`
		Data   []modelCard `json:"data"`
	}{Object: "list"}
	for _, name := range slices.Concat(s.names, s.model.Info.Adapters) {
		list.Data = append(list.Data, s.card(name))
	}
	marshal(ctx, list)
}

// getModel answers GET /v1/models/{id}.
func (s *Server) getModel(ctx *fasthttp.RequestCtx) {
	id := pathID(ctx, exchangeOf(ctx).route)
	if !s.serves(id) {
		s.fail(ctx, modelNotFound(id))
		return
	}
	marshal(ctx, s.card(id))
}

// marshal answers with a value of our own types, which have nothing that JSON cannot say.
func marshal(ctx *fasthttp.RequestCtx, v any) {
	text, err := strict.Marshal(v)
	if err != nil {
		panic("BUG: an answer does not marshal: " + err.Error())
	}
	writeJSON(ctx, text)
}
