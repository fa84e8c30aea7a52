package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/ingot-llm/ingot/engine"
	"github.com/valyala/fasthttp"
)

// Why a request's context ended; context.Cause tells.
var (
	errClientGone = errors.New("the client left")
	errDraining   = errors.New("the server is shutting down")
	errFinished   = errors.New("the answer is complete")
)

// Error is what a client is told: OpenAI's four fields and the HTTP status.
type Error struct {
	Status  int
	Message string
	Type    string
	Param   string // the field at fault; "" is sent as null
	Code    string // "" is sent as null
	// RetryAfter in seconds, 0: no header. Server.fail knows that of a full queue.
	RetryAfter int
}

func (e *Error) Error() string { return e.Message }

// invalid is a 400 that names the field at fault.
func invalid(param, code, format string, args ...any) *Error {
	return &Error{Status: fasthttp.StatusBadRequest, Message: fmt.Sprintf(format, args...),
		Type: "invalid_request_error", Param: param, Code: code}
}

// asError maps any error to what the client is told. It is the only place where an
// engine's error becomes an HTTP status; what it does not know is a 500 whose text
// stays in the log.
func asError(err error) *Error {
	var own *Error
	var long *engine.TooLongError
	var bad *engine.InvalidError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &long):
		return invalid("", "context_length_exceeded", "%s", long.Error())
	case errors.As(err, &bad):
		return invalid("", "", "%s", bad.Error())
	case errors.Is(err, engine.ErrQueueFull):
		return &Error{Status: fasthttp.StatusTooManyRequests, Message: "the server is overloaded: " + err.Error(),
			Type: "rate_limit_error", Code: "overloaded"}
	case errors.Is(err, engine.ErrClosed), errors.Is(err, errDraining):
		return &Error{Status: fasthttp.StatusServiceUnavailable, Message: errDraining.Error(),
			Type: "service_unavailable_error", Code: "shutting_down", RetryAfter: 5}
	case errors.Is(err, errClientGone), errors.Is(err, context.Canceled):
		return &Error{Status: statusClientClosed, Message: errClientGone.Error(),
			Type: "invalid_request_error", Code: "client_closed_request"}
	}
	return &Error{Status: fasthttp.StatusInternalServerError,
		Message: "the server failed at this request; its log says more", Type: "server_error", Code: "internal_error"}
}

// statusClientClosed stands in logs and metrics for "the client left"; nobody
// receives it. The number is nginx's.
const statusClientClosed = 499

// appendJSON writes the body of an error answer.
func (e *Error) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"error":{"message":`...)
	dst = appendString(dst, e.Message)
	dst = append(dst, `,"type":`...)
	dst = appendString(dst, e.Type)
	dst = append(dst, `,"param":`...)
	dst = appendStringOrNull(dst, e.Param)
	dst = append(dst, `,"code":`...)
	dst = appendStringOrNull(dst, e.Code)
	return append(dst, `}}`...)
}

func appendStringOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, `null`...)
	}
	return appendString(dst, s)
}

// writeError answers with e.
func writeError(ctx *fasthttp.RequestCtx, e *Error) {
	ctx.Response.ResetBody()
	ctx.SetStatusCode(e.Status)
	ctx.SetContentType(typeJSON)
	if e.RetryAfter > 0 {
		ctx.Response.Header.Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	ctx.SetBody(e.appendJSON(nil))
}

// refuseRequest is fasthttp's error handler: what could not be read as a request.
func (s *Server) refuseRequest(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	var timeout interface{ Timeout() bool }
	e := &Error{Status: fasthttp.StatusBadRequest, Message: "the request is not valid HTTP",
		Type: "invalid_request_error", Code: "bad_request"}
	switch {
	case errors.As(err, &small):
		e.Status, e.Code = fasthttp.StatusRequestHeaderFieldsTooLarge, "header_too_large"
		e.Message = fmt.Sprintf("the request's header is larger than %d bytes", s.cfg.MaxHeaderBytes)
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		e.Status, e.Code = fasthttp.StatusRequestEntityTooLarge, "body_too_large"
		e.Message = fmt.Sprintf("the request's body is larger than %d bytes", s.cfg.MaxBodyBytes)
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Status, e.Code = fasthttp.StatusRequestTimeout, "request_timeout"
		e.Message = "the request did not arrive in time"
	}
	s.metrics.refused(e.Code)
	keepAnswer(ctx.Conn())
	writeError(ctx, e)
}
