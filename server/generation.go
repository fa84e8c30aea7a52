package server

import (
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/valyala/fasthttp"
)

// generation is what a chat's and a text's answer in the making have in common.
type generation struct {
	server  *Server
	job     *job
	id      string
	model   string // what the answer calls it
	created time.Time
	stream  bool
	options streamOptions
	frame   chunkFrame
	ids     bool // return_token_ids
}

func (s *Server) newGeneration(prefix string, b *body) generation {
	return generation{server: s, model: s.shown(b.text("model")), id: prefix + s.newID(), created: s.now(), ids: b.boolean("return_token_ids")}
}

// encoder turns events into the answer, streamed or whole.
type encoder interface {
	chunker
	gatherer
}

// generate has the engine work on reqs and answers with what comes, in the form that enc
// gives it; a is enc's own, and object is what a chunk of a stream is called.
func (s *Server) generate(ctx *fasthttp.RequestCtx, a *generation, enc encoder, object string, reqs ...engine.Request) {
	j, err := s.submit(ctx, reqs)
	if err != nil {
		s.fail(ctx, err)
		return
	}
	a.job = j
	if a.stream {
		a.frame = newChunkFrame(a.id, object, a.model, a.created, a.options)
		s.startStream(ctx, j, enc)
		return
	}
	s.collect(ctx, j, enc)
}
