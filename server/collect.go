package server

import (
	"errors"
	"io"

	"github.com/ingot-llm/ingot/engine"
	"github.com/valyala/fasthttp"
)

// gatherer makes one answer of a job's events.
type gatherer interface {
	gather(ev *engine.Event)
	// whole returns the answer's JSON, after the last event.
	whole() []byte
}

// collect answers with the whole of a job and closes it.
func (s *Server) collect(ctx *fasthttp.RequestCtx, j *job, g gatherer) {
	var ev engine.Event
	for {
		var err error
		ev, err = j.next(j.ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			j.close(err)
			s.fail(ctx, err)
			return
		}
		g.gather(&ev)
	}
	j.close(errFinished)
	writeJSON(ctx, g.whole())
}

func writeJSON(ctx *fasthttp.RequestCtx, text []byte) {
	ctx.SetContentType(typeJSON)
	ctx.SetBody(text)
}
