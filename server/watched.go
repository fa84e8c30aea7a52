package server

import (
	"context"

	"github.com/valyala/fasthttp"
)

// watched returns a context that ends when the client leaves or the drain's deadline
// passes. done must be called before the handler returns.
func (s *Server) watched(ctx *fasthttp.RequestCtx) (call context.Context, done func()) {
	call, cancel := context.WithCancelCause(s.base)
	unwatch := s.watch.add(ctx.Conn(), func() { cancel(errClientGone) })
	return call, func() {
		unwatch()
		cancel(errFinished)
	}
}

// cause replaces a cancelled call's error by the reason for it.
func cause(call context.Context, err error) error {
	if err != nil && call.Err() != nil {
		return context.Cause(call)
	}
	return err
}
