package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/valyala/fasthttp"
)

const typeSSE = "text/event-stream; charset=utf-8"

// chunker turns a job's events into server-sent events. One goroutine uses it.
type chunker interface {
	// chunk appends the chunks of an event.
	chunk(dst []byte, ev *engine.Event) []byte
	// last appends what stands between the last event and [DONE].
	last(dst []byte) []byte
}

// stream answers with the job's events as they come. fasthttp writes it in the
// connection's goroutine after the handler has returned: no goroutine, no pipe. (For
// HTTP/1.0 the handler writes it.)
type stream struct {
	server *Server
	x      *exchange
	conn   net.Conn
	job    *job
	enc    chunker
	size   int
	status int
	armed  time.Time // when the write deadline was set
}

// startStream makes the answer a stream of server-sent events. The stream closes the job.
func (s *Server) startStream(ctx *fasthttp.RequestCtx, j *job, enc chunker) {
	x := exchangeOf(ctx)
	x.stream = true
	s.metrics.streaming.Inc()
	h := &ctx.Response.Header
	h.SetContentType(typeSSE)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // nginx would hold tokens back
	st := &stream{server: s, x: x, conn: ctx.Conn(), job: j, enc: enc, status: fasthttp.StatusOK}
	if !ctx.Request.Header.IsHTTP11() {
		st.writeBare(ctx)
		return
	}
	ctx.Response.ImmediateHeaderFlush = true
	ctx.SetBodyStream(st, -1)
}

// writeBare writes the whole answer to a client of HTTP/1.0, which knows no chunks: it
// ends with the connection. fasthttp has no such answers, so it gets none to write.
func (st *stream) writeBare(ctx *fasthttp.RequestCtx) {
	defer st.Close()
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(net.Conn) {})
	const untilClose = -2 // fasthttp's mark: neither a length nor chunks
	ctx.Response.Header.SetContentLength(untilClose)
	setWriteDeadline(st.conn, st.server.cfg.WriteTimeout)
	if _, err := st.conn.Write(ctx.Response.Header.Header()); err == nil {
		_, _ = st.WriteTo(st.conn) // Close counts how it ended
	}
}

// Read implements io.Reader, which fasthttp's type demands; it uses WriteTo.
func (st *stream) Read([]byte) (int, error) { panic("BUG: a stream is written, not read") }

// SupportsBodyWriteTo implements fasthttp.BodyWriterTo.
func (st *stream) SupportsBodyWriteTo() bool { return true }

// Close implements io.Closer. fasthttp calls it when the answer is over, whatever way.
func (st *stream) Close() error {
	if st.job.end == nil {
		// The header could not be written.
		st.job.close(errClientGone)
		st.status = statusClientClosed
	}
	st.server.metrics.streaming.Dec()
	st.server.finish(st.x, st.status, st.size)
	return nil
}

// WriteTo writes the answer. Each Write of w is a flush.
func (st *stream) WriteTo(w io.Writer) (n int64, err error) {
	defer func() { n = int64(st.size) }()
	cause := st.guarded(w)
	st.job.close(cause)
	if errors.Is(cause, errFinished) {
		return 0, nil
	}
	st.status = asError(cause).Status
	if st.status == statusClientClosed {
		return 0, cause
	}
	if st.status == fasthttp.StatusInternalServerError {
		st.x.fault = cause
	}
	return 0, st.write(w, appendErrorEvent(nil, asError(cause)))
}

// guarded is run, with a panic made an error: it fails this answer only.
func (st *stream) guarded(w io.Writer) (cause error) {
	defer func() {
		if p := recover(); p != nil {
			cause = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return st.run(w)
}

// appendErrorEvent ends a stream that fails in its middle: the status is long sent, and
// clients raise on a chunk with the key error.
func appendErrorEvent(dst []byte, e *Error) []byte {
	dst = append(dst, "data: "...)
	dst = e.appendJSON(dst)
	return append(dst, "\n\ndata: [DONE]\n\n"...)
}

// run writes events until the end and returns why it ended.
func (st *stream) run(w io.Writer) error {
	buf := make([]byte, 0, 4096)
	var beat heartbeat
	beat.start(st.job.ctx, st.server.cfg.Heartbeat)
	defer beat.stop()
	for {
		ev, err := st.job.next(beat.ctx)
		buf = buf[:0]
		// What is there already goes out in the same packet.
		for err == nil {
			buf = st.enc.chunk(buf, &ev)
			if len(buf) > maxPacket || !st.job.ready() {
				break
			}
			ev, err = st.job.next(beat.ctx)
		}
		switch {
		case err == nil:
		case errors.Is(err, context.DeadlineExceeded):
			if beat.due() {
				buf = append(buf, ": still here\n\n"...)
			}
		case errors.Is(err, io.EOF):
			buf = append(st.enc.last(buf), "data: [DONE]\n\n"...)
			if err := st.write(w, buf); err != nil {
				return err
			}
			return errFinished
		default:
			if len(buf) > 0 && !errors.Is(err, errClientGone) {
				if werr := st.write(w, buf); werr != nil {
					return werr
				}
			}
			return err
		}
		if len(buf) > 0 {
			if err := st.write(w, buf); err != nil {
				return err
			}
			beat.wrote()
		}
		beat.renew(st.job.ctx)
	}
}

// maxPacket bounds what one write gathers.
const maxPacket = 32 << 10

// write sends a packet. A reader that takes nothing for WriteTimeout is cut, or up to an
// eighth earlier, as the deadline is not moved for each packet: until then the engine
// holds the sequence back by the stream's backlog.
func (st *stream) write(w io.Writer, b []byte) error {
	if timeout := st.server.cfg.WriteTimeout; time.Since(st.armed) > timeout/8 {
		setWriteDeadline(st.conn, timeout)
		st.armed = time.Now()
	}
	n, err := w.Write(b)
	st.size += n
	if err != nil {
		return fmt.Errorf("%w: %w", errClientGone, err)
	}
	return nil
}

// heartbeat bounds a stream's silence with one timer for many events.
type heartbeat struct {
	every  time.Duration
	latest time.Time // write
	ctx    context.Context
	stop   context.CancelFunc
}

func (h *heartbeat) start(parent context.Context, every time.Duration) {
	h.every = every
	h.wrote()
	h.ctx, h.stop = context.WithTimeout(parent, every)
}

func (h *heartbeat) wrote() { h.latest = time.Now() }

// due tells whether the silence is long enough for a sign of life.
func (h *heartbeat) due() bool { return time.Since(h.latest) >= h.every }

// renew sets the timer again after it has run out.
func (h *heartbeat) renew(parent context.Context) {
	if h.ctx.Err() == nil {
		return
	}
	h.stop()
	h.ctx, h.stop = context.WithDeadline(parent, h.latest.Add(h.every))
}

// chunkFrame is what all chunks of a stream share.
type chunkFrame struct {
	head    []byte // `data: {"id":...,"choices":[`
	options streamOptions
}

func newChunkFrame(id, object, model string, created time.Time, o streamOptions) chunkFrame {
	return chunkFrame{appendHead([]byte("data: "), id, object, model, created), o}
}

// appendHead opens an answer or chunk up to its choices.
func appendHead(dst []byte, id, object, model string, created time.Time) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, id)
	dst = append(dst, `,"object":`...)
	dst = appendString(dst, object)
	dst = append(dst, `,"created":`...)
	dst = strconv.AppendInt(dst, created.Unix(), 10)
	dst = append(dst, `,"model":`...)
	dst = appendString(dst, model)
	return append(dst, `,"choices":[`...)
}

// close ends a chunk that began at dst[start:], after its choice.
func (f *chunkFrame) close(dst []byte, start int) []byte {
	dst = append(dst, ']')
	if f.options.usage {
		dst = append(dst, `,"usage":null`...)
	}
	return f.seal(dst, start)
}

// usage appends the chunk with the token counts.
func (f *chunkFrame) usage(dst []byte, u engine.Usage, reasoning int) []byte {
	if !f.options.usage {
		return dst
	}
	start := len(dst)
	dst = append(append(dst, f.head...), `],"usage":`...)
	return f.seal(appendUsage(dst, u, reasoning), start)
}

// seal closes the object. Padding brings each chunk to a multiple of 64 bytes, so that
// an observer of encrypted traffic does not read the tokens' lengths.
func (f *chunkFrame) seal(dst []byte, start int) []byte {
	if f.options.obfuscate {
		const padding = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		dst = append(dst, `,"obfuscation":"`...)
		const tail = len("\"}\n\n")
		dst = append(dst, padding[:63-(len(dst)-start+tail+63)%64]...)
		dst = append(dst, '"')
	}
	return append(dst, "}\n\n"...)
}
