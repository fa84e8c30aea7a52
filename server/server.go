package server

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/valyala/fasthttp"
)

// Server answers HTTP requests with an engine. New makes one; it serves any number of
// listeners until Shutdown.
type Server struct {
	cfg     Config
	model   Model
	log     *slog.Logger
	keys    keyring
	hosts   []string
	tls     *tls.Config
	names   []string // of the model; the first is what answers say
	router  *router
	metrics *metrics
	watch   *watcher
	pace    pace
	http    *fasthttp.Server
	unused  unused
	page    map[string]asset

	base     context.Context // ends when the drain's deadline passes
	end      context.CancelCauseFunc
	work     inflight
	ready    atomic.Bool
	draining atomic.Bool

	// Replaced by tests that compare whole answers.
	newID func() string
	now   func() time.Time
}

// New returns a server for a model, which it does not close. A nil log discards.
func New(cfg Config, model Model, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, model: model, log: log, router: newRouter(routes), hosts: allowedHosts(&cfg),
		newID: randomHex, now: time.Now, pace: pace{now: time.Now}}
	var err error
	if s.keys, err = loadKeys(&cfg); err != nil {
		return nil, err
	}
	if s.tls, err = loadTLS(&cfg); err != nil {
		return nil, err
	}
	s.names = append(append(s.names, cfg.ModelNames...), s.model.Info.ID)
	if err = s.checkAdapters(); err != nil {
		return nil, err
	}
	if s.watch, err = newWatcher(); err != nil {
		return nil, err
	}
	s.page = loadPage()
	s.metrics = newMetrics(s.names[0], model)
	s.base, s.end = context.WithCancelCause(context.Background())
	s.unused.ended = s.base
	s.work.idle = make(chan struct{}, 1)
	s.http = s.newHTTP()
	return s, nil
}

func (s *Server) newHTTP() *fasthttp.Server {
	return &fasthttp.Server{
		Name:                  "ingot",
		Handler:               s.handle,
		ErrorHandler:          s.refuseRequest,
		Logger:                httpLogger{s.log},
		ReadTimeout:           s.cfg.HeaderTimeout,
		IdleTimeout:           s.cfg.IdleTimeout,
		MaxRequestBodySize:    s.cfg.MaxBodyBytes,
		ReadBufferSize:        s.cfg.MaxHeaderBytes,
		Concurrency:           s.cfg.MaxConnections,
		SecureErrorLogMessage: true,
		CloseOnShutdown:       true,
		TCPKeepalive:          true,
		ConnState:             s.unused.track,
		HeaderReceived: func(*fasthttp.RequestHeader) fasthttp.RequestConfig {
			return fasthttp.RequestConfig{ReadTimeout: s.cfg.BodyTimeout}
		},
		DisablePreParseMultipartForm: true,
	}
}

func loadTLS(cfg *Config) (*tls.Config, error) {
	if cfg.TLSCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("cannot load the TLS certificate %q: %w", cfg.TLSCert, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}, nil
}

// httpLogger takes fasthttp's own lines, which are about broken connections.
type httpLogger struct{ log *slog.Logger }

// Printf implements fasthttp.Logger.
func (l httpLogger) Printf(format string, args ...any) {
	l.log.Debug("http: " + fmt.Sprintf(format, args...))
}

// ListenAndServe serves at the configured address until Shutdown.
func (s *Server) ListenAndServe() error {
	ln, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen at %q: %w", s.cfg.Listen, err)
	}
	return s.Serve(ln)
}

// Serve answers the connections of ln, with TLS if it is configured, until Shutdown; then
// it returns nil. It closes ln. The first call starts the self test that /readyz waits for.
func (s *Server) Serve(ln net.Listener) error {
	if !s.ready.Load() {
		go s.selfTest()
	}
	ln = newCappedListener(ln, s.cfg.MaxConnectionsPerIP)
	if s.tls != nil {
		ln = tls.NewListener(ln, s.tls)
	}
	if err := s.http.Serve(ln); err != nil {
		return fmt.Errorf("cannot serve at %s: %w", ln.Addr(), err)
	}
	return nil
}

// Shutdown drains the server: /readyz fails and new requests get 503 at once, answers in
// work go on until they are complete or ctx ends, and then what still streams is told in
// a last event and cut. It returns ctx's error in that case.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.log.Info("server: draining", "requests", s.work.count())
	err := s.drain(ctx)
	s.end(errDraining)
	s.unused.close()
	// What was told to end writes its last event now.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	httpErr := s.http.ShutdownWithContext(last)
	s.watch.close()
	return errors.Join(err, httpErr)
}

func (s *Server) drain(ctx context.Context) error {
	delay := time.NewTimer(s.cfg.DrainDelay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case <-ctx.Done():
		if s.work.count() == 0 {
			return nil
		}
		return ctx.Err()
	}
	for s.work.count() > 0 {
		select {
		case <-s.work.idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// inflight counts requests from their header to their answer's last byte.
type inflight struct {
	n    atomic.Int64
	idle chan struct{} // cap 1: n came to zero
}

func (w *inflight) count() int64 { return w.n.Load() }
func (w *inflight) begin()       { w.n.Add(1) }

func (w *inflight) finish() {
	if w.n.Add(-1) == 0 {
		select {
		case w.idle <- struct{}{}:
		default:
		}
	}
}

// exchange is what the server knows of a request beside fasthttp's context. It is kept
// under exchangeKey and lives until the answer's last byte.
type exchange struct {
	start  time.Time
	id     string
	route  string // the table's path, "none" if no route matched
	method string
	key    string // the name of the caller's API key
	size   int    // of the request's body
	job    *job   // of generating routes
	stream bool   // the answer is written after the handler returned
	fault  error  // the cause of an answer with status 500
}

const exchangeKey = "ingot.exchange"

func exchangeOf(ctx *fasthttp.RequestCtx) *exchange { return ctx.UserValue(exchangeKey).(*exchange) }

// handle answers one request. Nothing that panics in it harms another.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	x := &exchange{start: time.Now(), id: requestID(ctx), route: "none", method: knownMethod(ctx), size: len(ctx.PostBody())}
	ctx.SetUserValue(exchangeKey, x)
	ctx.Response.Header.Set("X-Request-Id", x.id)
	s.work.begin()
	s.dispatch(ctx, x)
	if s.draining.Load() {
		ctx.SetConnectionClose()
	}
	// fasthttp would let a reader that takes nothing keep the answer for ever.
	setWriteDeadline(ctx.Conn(), s.cfg.WriteTimeout)
	if !x.stream {
		s.finish(x, ctx.Response.StatusCode(), len(ctx.Response.Body()))
	}
}

func (s *Server) dispatch(ctx *fasthttp.RequestCtx, x *exchange) {
	defer func() {
		if p := recover(); p != nil {
			x.fault = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			x.stream = false
			if x.job != nil {
				x.job.close(errFinished)
			}
			writeError(ctx, asError(x.fault))
		}
	}()
	r, err := s.admit(ctx, x)
	if err != nil {
		s.metrics.refused(err.Code)
		writeError(ctx, err)
		return
	}
	if r != nil {
		r.handle(s, ctx)
	}
}

// admit returns the route of a request that may go on, or nil for a preflight that it
// has answered.
func (s *Server) admit(ctx *fasthttp.RequestCtx, x *exchange) (*route, *Error) {
	if err := s.checkHost(ctx); err != nil {
		return nil, err
	}
	if err := s.checkOrigin(ctx); err != nil {
		return nil, err
	}
	if preflight(ctx) {
		return nil, nil
	}
	r, missing := s.router.find(ctx)
	if r != nil {
		x.route = r.path
	}
	name, denied := s.authenticate(ctx, r)
	if denied != nil {
		return nil, denied
	}
	x.key = name
	if missing != nil {
		return nil, missing
	}
	if s.draining.Load() && !r.always {
		return nil, asError(errDraining)
	}
	return r, nil
}

// fail answers a handler's error.
func (s *Server) fail(ctx *fasthttp.RequestCtx, err error) {
	e := asError(err)
	if errors.Is(err, engine.ErrQueueFull) {
		e.RetryAfter = s.pace.wait(s.model.Engine.Stats().Waiting)
	}
	if e.Status == fasthttp.StatusInternalServerError {
		exchangeOf(ctx).fault = err
	}
	s.metrics.refused(e.Code)
	writeError(ctx, e)
}

// finish counts and logs a request after its answer.
func (s *Server) finish(x *exchange, status, size int) {
	took := time.Since(x.start)
	s.metrics.answered(x, status, size, took)
	level := slog.LevelInfo
	attrs := append(make([]slog.Attr, 0, 10),
		slog.String("id", x.id), slog.String("method", x.method), slog.String("route", x.route),
		slog.Int("status", status), slog.Duration("took", took))
	if x.key != "" {
		attrs = append(attrs, slog.String("key", x.key))
	}
	if x.job != nil {
		u := x.job.usage()
		attrs = append(attrs, slog.Int("prompt_tokens", u.PromptTokens), slog.Int("output_tokens", u.CompletionTokens),
			slog.String("end", x.job.endedBy()))
	}
	if x.fault != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.Any("error", x.fault))
	}
	// As LogAttrs does, but for the look at the stack.
	if h := s.log.Handler(); h.Enabled(context.Background(), level) {
		line := slog.NewRecord(x.start.Add(took), level, "server: request", 0)
		line.AddAttrs(attrs...)
		_ = h.Handle(context.Background(), line)
	}
	s.work.finish()
}

// knownMethod bounds the values of a metrics label.
func knownMethod(ctx *fasthttp.RequestCtx) string {
	switch m := string(ctx.Method()); m {
	case "GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE":
		return m
	}
	return "other"
}

// requestID returns the client's X-Request-Id if it is harmless, or a fresh one. It
// stands in the log and the answer and is the key of nothing.
func requestID(ctx *fasthttp.RequestCtx) string {
	id := string(ctx.Request.Header.Peek("X-Request-Id"))
	const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	if len(id) == 0 || len(id) > 128 || strings.Trim(id, safe) != "" {
		return "req-" + randomHex()
	}
	return id
}

// randomHex returns 24 digits that do not come twice; they need not be hard to guess.
func randomHex() string {
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], rand.Uint64())
	binary.LittleEndian.PutUint32(b[8:], rand.Uint32())
	return string(hex.AppendEncode(make([]byte, 0, 2*len(b)), b[:]))
}

// setWriteDeadline moves the point at which a write that does not go on is given up.
func setWriteDeadline(c net.Conn, d time.Duration) {
	// A connection that cannot take a deadline is closed already; the write will tell.
	_ = c.SetWriteDeadline(time.Now().Add(d))
}
