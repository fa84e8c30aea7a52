package server

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/engine"
)

// expectCancel waits until the engine has dropped a request, and returns how long it took.
func expectCancel(t *testing.T, f *fakeEngine) time.Duration {
	t.Helper()
	start := time.Now()
	select {
	case <-f.cancelled:
	case <-time.After(10 * time.Second):
		t.Error("the engine still works 10 s after the client left")
	}
	return time.Since(start)
}

// TestClientLeaves closes connections in every phase of a request, with FIN and RST:
// the engine's request ends, and within 250 ms by the median: the machine may be busy.
func TestClientLeaves(t *testing.T) {
	fake := newFake()
	fake.gate = make(chan struct{})
	h := startTCP(t, fake, nil)
	const chat = `{"messages":[{"role":"user","content":"a"}]`
	var took []time.Duration
	for name, c := range map[string]struct {
		path, body, until string
		events            int
	}{
		"queued":          {"/v1/chat/completions", chat + `}`, "", 0},
		"streamed queued": {"/v1/chat/completions", chat + `,"stream":true}`, "\r\n", 0},
		"streaming":       {"/v1/chat/completions", chat + `,"stream":true}`, "Hel", 1},
		"prompts":         {"/v1/completions", `{"prompt":["a"]}`, "", 0},
		"embedding":       {"/v1/embeddings", `{"input":"a"}`, "", 0},
	} {
		for _, reset := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s reset=%v", name, reset), func(t *testing.T) {
				conn, r := h.send(c.path, c.body)
				for range c.events {
					fake.gate <- struct{}{}
				}
				if c.until != "" {
					readUntil(t, r, c.until)
				} else {
					waitFor(t, func() bool { return h.server.work.count() > 0 })
					waitFor(t, func() bool { return busy(h) })
				}
				if tcp, ok := rawTCP(conn); ok && reset {
					tcp.SetLinger(0)
					tcp.Close()
				} else {
					conn.Close()
				}
				took = append(took, expectCancel(t, fake))
			})
		}
	}
	slices.Sort(took)
	if median := took[len(took)/2]; median > 250*time.Millisecond {
		t.Errorf("the median time to notice is %s", median)
	}
	waitFor(t, func() bool { return h.server.work.count() == 0 })
}

// busy tells whether a request waits for the fake engine's gate.
func busy(h *harness) bool {
	h.server.watch.mu.Lock()
	defer h.server.watch.mu.Unlock()
	return len(h.server.watch.gone) > 0
}

func rawTCP(c net.Conn) (*net.TCPConn, bool) {
	if layer, ok := c.(*tls.Conn); ok {
		c = layer.NetConn()
	}
	tcp, ok := c.(*net.TCPConn)
	return tcp, ok
}

// waitFor waits for a condition that another goroutine makes true.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}

// TestTLS serves with a certificate, and notices over TLS that a client leaves.
func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	fake := newFake()
	cfg := DefaultConfig()
	cfg.TLSCert, cfg.TLSKey = cert, key
	s, err := New(cfg, fakeModel(t, fake), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.ready.Store(true)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, fake: fake, server: s}
	h.dial = func() (net.Conn, error) {
		return tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	conn, r := h.send("/v1/completions", `{"prompt":"a","stream":true}`)
	readUntil(t, r, "[DONE]")
	conn.Close()

	fake.gate = make(chan struct{})
	conn, r = h.send("/v1/completions", `{"prompt":"a","stream":true}`)
	fake.gate <- struct{}{}
	readUntil(t, r, "Hel")
	conn.Close()
	expectCancel(t, fake)

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	s.Shutdown(ctx)
	if err := <-done; err != nil {
		t.Error(err)
	}
	fake.running.Wait()
}

func certificate(t *testing.T) (certFile, keyFile string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}

// TestSlowReader stops reading an endless stream: the engine is held back by the
// backlog, then the connection is cut and the request ends.
func TestSlowReader(t *testing.T) {
	fake := newFake()
	fake.flood, fake.piece = true, 1000
	h := startTCP(t, fake, func(c *Config, _ *Model) { c.WriteTimeout = 200 * time.Millisecond })
	conn, r := h.send("/v1/completions", `{"prompt":"a","stream":true,"max_tokens":2000000000}`)
	defer conn.Close()
	readUntil(t, r, "flood")
	expectCancel(t, fake)
	waitFor(t, func() bool { return h.server.work.count() == 0 })
}

// TestHeartbeat is silent for longer than the heartbeat.
func TestHeartbeat(t *testing.T) {
	fake := newFake()
	fake.gate = make(chan struct{})
	h := start(t, fake, func(c *Config, _ *Model) { c.Heartbeat = 20 * time.Millisecond })
	conn, r := h.send("/v1/completions", `{"prompt":"a","stream":true,"max_tokens":3}`)
	defer conn.Close()
	readUntil(t, r, ": still here")
	fake.gate <- struct{}{}
	readUntil(t, r, "[DONE]")
}

// TestDrain shuts down while one stream can finish and one cannot.
func TestDrain(t *testing.T) {
	fake := newFake()
	fake.gate = make(chan struct{}, 16)
	h := start(t, fake, func(c *Config, _ *Model) { c.DrainDelay = 20 * time.Millisecond })
	const body = `{"prompt":"a","stream":true,"max_tokens":4}`
	conn, r := h.send("/v1/completions", body)
	defer conn.Close()
	fake.gate <- struct{}{}
	readUntil(t, r, "Hel")

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.server.Shutdown(ctx) }()
	waitFor(t, h.server.draining.Load)
	for path, want := range map[string]int{"/readyz": 503, "/livez": 200, "/metrics": 200, "/v1/models": 503} {
		a := h.do("GET", path, "")
		if a.status != want || a.header["Connection"] != "close" {
			t.Errorf("%s in a drain: %d, Connection %q", path, a.status, a.header["Connection"])
		}
	}
	if a := h.post("/v1/completions", `{"prompt":"a"}`); a.status != 503 || a.header["Retry-After"] == "" {
		t.Errorf("a new request in a drain: %d, Retry-After %q", a.status, a.header["Retry-After"])
	}
	stuck := make(chan string, 1)
	go func() { rest, _ := io.ReadAll(r); stuck <- string(rest) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if rest := <-stuck; !strings.Contains(rest, `data: {"error":{"message":"the server is shutting down"`) || !strings.Contains(rest, "data: [DONE]") {
		t.Errorf("the cut stream ends with %q", rest)
	}
}

// TestDrainFinishes shuts down while a stream still has something to say.
func TestDrainFinishes(t *testing.T) {
	fake := newFake()
	fake.gate = make(chan struct{}, 16)
	h := start(t, fake, nil)
	conn, r := h.send("/v1/completions", `{"prompt":"a","stream":true,"max_tokens":6}`)
	defer conn.Close()
	fake.gate <- struct{}{}
	readUntil(t, r, "Hel")
	done := make(chan error, 1)
	go func() { done <- h.server.Shutdown(context.Background()) }()
	waitFor(t, h.server.draining.Load)
	fake.gate <- struct{}{}
	if rest := readUntil(t, r, "[DONE]"); !strings.Contains(rest, `"finish_reason":"length"`) {
		t.Errorf("the stream ends with %q", rest)
	}
	conn.Close()
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestDrainUnused: a connection on which nothing was ever asked, as browsers open them in
// advance, does not hold up the end.
func TestDrainUnused(t *testing.T) {
	h := start(t, newFake(), nil)
	conn, err := h.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if a := h.do("GET", "/livez", ""); a.status != 200 { // the server has accepted both by now
		t.Fatal(a.status)
	}
	if err := h.server.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection reads %d bytes, %v", n, err)
	}
}

// TestEngineErrors maps what the engine says to what a client is told, before and in the
// middle of a stream.
func TestEngineErrors(t *testing.T) {
	for _, c := range []struct {
		refuse, fail error
		status       int
		code         string
	}{
		{engine.ErrQueueFull, nil, 429, "overloaded"},
		{engine.ErrClosed, nil, 503, "shutting_down"},
		{&engine.TooLongError{PromptTokens: 9, MaxTokens: 1, Limit: 8, What: "context length"}, nil, 400, "context_length_exceeded"},
		{errors.New("kernel on fire"), nil, 500, "internal_error"},
		{nil, errors.New("kernel on fire"), 500, "internal_error"},
		{nil, engine.ErrClosed, 503, "shutting_down"},
	} {
		fake := newFake()
		fake.refuse, fake.fail = c.refuse, c.fail
		h := start(t, fake, nil)
		a := h.post("/v1/completions", `{"prompt":"a"}`)
		if a.status != c.status || !strings.Contains(a.body, `"code":"`+c.code+`"`) || strings.Contains(a.body, "fire") {
			t.Errorf("%v %v: %d %s", c.refuse, c.fail, a.status, a.body)
		}
		if (c.status == 429) != (a.header["Retry-After"] == "1") {
			t.Errorf("%v: Retry-After %q", c.refuse, a.header["Retry-After"])
		}
		a = h.post("/v1/completions", `{"prompt":["a","b"],"stream":true}`)
		if c.fail != nil && (a.status != 200 || !strings.Contains(a.body, `data: {"error":{`) || !strings.HasSuffix(a.body, "data: [DONE]\n\n")) {
			t.Errorf("%v in a stream: %d %s", c.fail, a.status, a.body)
		}
		if c.status == 500 && !strings.Contains(h.logs.String(), "kernel on fire") {
			t.Errorf("the log does not tell why: %s", h.logs.String())
		}
	}
}

// panicking panics where a test needs it.
type panicking struct{ bytesTokenizer }

func (panicking) Piece(int32) []byte { panic("boom") }

// TestPanics fails one request, in a handler and in a stream, and not the server.
func TestPanics(t *testing.T) {
	h := start(t, newFake(), func(_ *Config, m *Model) { m.Tokenizer = panicking{} })
	if a := h.post("/v1/completions", `{"prompt":"a","logprobs":0}`); a.status != 500 || strings.Contains(a.body, "boom") {
		t.Errorf("%d %s", a.status, a.body)
	}
	conn, r := h.send("/v1/completions", `{"prompt":"a","logprobs":0,"stream":true}`)
	if end := readUntil(t, r, "[DONE]"); !strings.Contains(end, `data: {"error":{"message":"the server failed`) {
		t.Errorf("the stream ends with %q", end)
	}
	conn.Close()
	if a := h.post("/v1/completions", `{"prompt":"a"}`); a.status != 200 {
		t.Errorf("after the panics: %d %s", a.status, a.body)
	}
	// The stream's line is written after its last event, which the client may see first.
	waitFor(t, func() bool { return strings.Count(h.logs.String(), "error=\"panic: boom") == 2 })
	waitFor(t, func() bool { return h.server.work.count() == 0 })
}

// TestBoundsOfHTTP sends what is too large, too slow or malformed.
func TestBoundsOfHTTP(t *testing.T) {
	h := startTCP(t, newFake(), func(c *Config, _ *Model) {
		c.MaxBodyBytes, c.MaxHeaderBytes = 1000, 2048
		c.HeaderTimeout, c.BodyTimeout, c.IdleTimeout = 400*time.Millisecond, 400*time.Millisecond, 400*time.Millisecond
	})
	for request, want := range map[string]string{
		"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n":                                     "413 ",
		"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n":                              "413 ",
		"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n":                                       "400 ",
		"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(1200):                "413 ",
		"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n": "400 ",
		"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 3000) + "\r\n\r\n":                               "431 ",
		"GET /livez HTTP/1.1\r\nHost: loc":                                                                 "408 ",
		"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{":                 "408 ",
		"\x00\x01\x02\r\n\r\n":                                                                             "400 ",
		"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n\r\n{\"prompt\":\"a\"}": "200 ",
	} {
		c, err := h.dial()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, request)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		line, err := bufio.NewReader(c).ReadString('\n')
		if !strings.Contains(line, " "+want) {
			t.Errorf("%.90q: %q %v, want %s", request, line, err, want)
		}
		c.Close()
	}
}

// TestTooLargeIsAnswered sends far more than is read: the answer that says so arrives whole,
// whatever the client still had to send.
func TestTooLargeIsAnswered(t *testing.T) {
	h := startTCP(t, newFake(), nil)
	body := make([]byte, 6<<20)
	for range 20 {
		c, err := h.dial()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", len(body))
		_, sent := c.Write(body)
		answer, err := io.ReadAll(c)
		if sent != nil || err != nil || !strings.Contains(string(answer), `"code":"body_too_large"`) {
			t.Errorf("sent: %v, read: %v, answer %q", sent, err, answer)
		}
		c.Close()
	}
}

// TestContentEncoding refuses bodies that would first have to be decoded.
func TestContentEncoding(t *testing.T) {
	h := start(t, newFake(), nil)
	for coding, want := range map[string]int{"": 200, "identity": 200, "Identity": 200, "gzip": 415, "identity, gzip": 415, "zst\x80d": 415} {
		for _, path := range []string{"/v1/completions", "/tokenize"} {
			a := h.do("POST", path, `{"prompt":"a"}`, "Content-Encoding", coding)
			if a.status != want {
				t.Errorf("%s with %q: %d %s", path, coding, a.status, a.body)
			}
			var told struct {
				Error map[string]any
			}
			if want == 200 {
				continue
			}
			if err := json.Unmarshal([]byte(a.body), &told); err != nil || len(told.Error) != 4 || told.Error["code"] != "unsupported_content_encoding" {
				t.Errorf("%s with %q: %s", path, coding, a.body)
			}
			if text, _ := told.Error["message"].(string); !strings.Contains(text, strings.ToValidUTF8(coding, "\uFFFD")) {
				t.Errorf("%q is not named: %s", coding, a.body)
			}
		}
	}
}

// TestStreamToHTTP10 streams to a client that knows no chunks: bare events, ended by the
// end of the connection.
func TestStreamToHTTP10(t *testing.T) {
	fake := newFake()
	h := startTCP(t, fake, nil)
	const body = `{"prompt":"a","stream":true}`
	want := h.post("/v1/completions", body).body
	for _, keep := range []string{"", "Connection: keep-alive\r\n"} {
		c, err := h.dial()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /v1/completions HTTP/1.0\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n%s", keep, len(body), body)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		answer, err := io.ReadAll(c)
		head, events, _ := strings.Cut(string(answer), "\r\n\r\n")
		if err != nil || events != want {
			t.Errorf("read: %v, events %q, want %q", err, events, want)
		}
		if !strings.Contains(head, " 200 OK\r\n") || strings.Contains(head, "Transfer-Encoding") || !strings.Contains(head, "Connection: close") || !strings.Contains(head, typeSSE) {
			t.Errorf("header %q", head)
		}
		c.Close()
	}
	fake.gate = make(chan struct{})
	c, err := h.dial()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /v1/completions HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	readUntil(t, bufio.NewReader(c), "\r\n")
	c.Close()
	expectCancel(t, fake)
	waitFor(t, func() bool { return h.server.work.count() == 0 })
}

func chunks(n int) string { return strings.Repeat("1\r\nx\r\n", n) + "0\r\n\r\n" }

// TestConnectionsOfOneAddress closes the one connection too many.
func TestConnectionsOfOneAddress(t *testing.T) {
	h := startTCP(t, newFake(), func(c *Config, _ *Model) { c.MaxConnectionsPerIP = 2 })
	var open []net.Conn
	for range 3 {
		c, err := h.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
		fmt.Fprint(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
		line, err := bufio.NewReader(c).ReadString('\n')
		if served := err == nil && strings.Contains(line, "200"); served != (len(open) < 3) {
			t.Errorf("connection %d: %q %v", len(open), line, err)
		}
	}
	open[0].Close()
	waitFor(t, func() bool {
		c, err := h.dial()
		if err != nil {
			return false
		}
		defer c.Close()
		fmt.Fprint(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
		line, _ := bufio.NewReader(c).ReadString('\n')
		return strings.Contains(line, "200")
	})
}
