package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
)

// bytesTokenizer has one token for each byte and two control tokens.
type bytesTokenizer struct{}

const (
	tokenStart, tokenEnd = 256, 257
	fakeVocab            = 258
)

var controls = map[int32]string{tokenStart: "<|im_start|>", tokenEnd: "<|im_end|>"}

func (bytesTokenizer) Encode(dst []int32, text string, opt tokenizer.EncodeOptions) []int32 {
	if opt.AddSpecial {
		dst = append(dst, tokenStart)
	}
	for _, c := range []byte(text) {
		dst = append(dst, int32(c))
	}
	return dst
}

func (t bytesTokenizer) EncodeSegments(dst []int32, segs []tokenizer.Segment) []int32 {
	for _, seg := range segs {
		text := seg.Text
	next:
		for text != "" {
			for id, name := range controls {
				if seg.Trusted && strings.HasPrefix(text, name) {
					dst, text = append(dst, id), text[len(name):]
					continue next
				}
			}
			dst, text = append(dst, int32(text[0])), text[1:]
		}
	}
	return dst
}

func (t bytesTokenizer) Decode(ids []int32, skipSpecial bool) string {
	var b []byte
	for _, id := range ids {
		if !skipSpecial || !t.IsControl(id) {
			b = append(b, t.Piece(id)...)
		}
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// realBytes is the same vocabulary as a real tokenizer has it.
var realBytes = sync.OnceValue(func() *tokenizer.Tokenizer {
	var tokens []string
	var kinds []int32
	for b := range 256 {
		tokens, kinds = append(tokens, fmt.Sprintf("<0x%02X>", b)), append(kinds, 6)
	}
	m := &quant.Meta{}
	m.Set("tokenizer.ggml.model", "llama")
	m.Set("tokenizer.ggml.tokens", append(tokens, controls[tokenStart], controls[tokenEnd]))
	m.Set("tokenizer.ggml.token_type", append(kinds, 3, 3))
	m.Set("tokenizer.ggml.scores", make([]float32, fakeVocab))
	m.Set("tokenizer.ggml.bos_token_id", uint32(tokenStart))
	m.Set("tokenizer.ggml.eos_token_id", uint32(tokenEnd))
	m.Set("tokenizer.ggml.add_space_prefix", false)
	t, err := tokenizer.New(m)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return t
})

func (bytesTokenizer) Stream(skipSpecial bool) tokenizer.Stream {
	return realBytes().Stream(skipSpecial)
}

func (bytesTokenizer) Piece(id int32) []byte {
	switch {
	case id >= 0 && id < 256:
		return []byte{byte(id)}
	case controls[id] != "":
		return []byte(controls[id])
	}
	return nil
}

func (bytesTokenizer) Vocab() int { return fakeVocab }

func (bytesTokenizer) IsControl(id int32) bool { return controls[id] != "" }

// fakeEngine answers each request with fixed texts over a real engine.Stream.
type fakeEngine struct {
	mu       sync.Mutex
	requests []engine.Request
	onStep   func(engine.StepStats)

	answer string        // of the sequence 0; the i-th one says it i+1 times
	piece  int           // bytes in an event, default 3
	pause  time.Duration // before each event
	gate   chan struct{} // if set, each event waits for a token from it
	fail   error         // FinishError after the first event
	refuse error         // of Submit
	flood  bool          // endless answer, held back by the stream's backlog
	beat   time.Time     // LastStep; zero: now

	running   sync.WaitGroup
	cancelled chan string // one entry for each request that ends by its context
}

func newFake() *fakeEngine {
	return &fakeEngine{answer: "Hello, wörld!", cancelled: make(chan string, 4096)}
}

func (f *fakeEngine) Submit(ctx context.Context, r engine.Request) (*engine.Stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, f.refuse
	}
	f.requests = append(f.requests, r)
	ctx, cancel := context.WithCancel(ctx)
	s := engine.NewStream(r.N, cancel)
	f.running.Add(1)
	go func() {
		defer f.running.Done()
		defer cancel()
		f.run(ctx, r, s)
	}()
	return s, nil
}

// last returns the latest request.
func (f *fakeEngine) last() engine.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[len(f.requests)-1]
}

func (f *fakeEngine) run(ctx context.Context, r engine.Request, s *engine.Stream) {
	now := time.Now()
	s.Update(func(u *engine.Usage, t *engine.Timing) {
		u.PromptTokens, u.CachedTokens = len(r.Prompt), len(r.Prompt)/2
		t.Submitted, t.Scheduled = now, now
	})
	if r.PromptLogprobs >= 0 {
		s.SetPrompt(score(r.Prompt, r.PromptLogprobs))
	}
	for i := range r.N {
		if !f.sequence(ctx, r, s, i) {
			f.cancelled <- context.Cause(ctx).Error()
			return
		}
	}
	s.Update(func(_ *engine.Usage, t *engine.Timing) { t.Finished = time.Now() })
}

// sequence pushes one answer; false if ctx ended first.
func (f *fakeEngine) sequence(ctx context.Context, r engine.Request, s *engine.Stream, index int) bool {
	text := strings.Repeat(f.answer, index+1)
	reason := engine.FinishStop
	if r.MaxTokens < len(text) {
		text, reason = text[:r.MaxTokens], engine.FinishLength
	}
	piece := max(f.piece, 1)
	if f.piece == 0 {
		piece = 3
	}
	held := ""
	for first := true; first || text != "" || f.flood; first = false {
		if f.flood {
			text = strings.Repeat("flood ", 200)
			for s.Backlog() > 256<<10 {
				if !sleep(ctx, time.Millisecond) {
					return false
				}
			}
		}
		if !f.wait(ctx) {
			return false
		}
		n := min(piece, len(text))
		ev := engine.Event{Index: index, At: time.Now(), StopID: -1}
		ids := bytesTokenizer{}.Encode(nil, text[:n], tokenizer.EncodeOptions{})
		ev.Tokens = score(ids, r.Logprobs)
		held += text[:n]
		text = text[n:]
		ev.Text, held = wholeRunes(held)
		if text == "" && !f.flood {
			ev.Text, ev.Finish = ev.Text+strings.ToValidUTF8(held, "\uFFFD"), reason
		}
		if f.fail != nil {
			ev.Finish, ev.Err = engine.FinishError, f.fail
		}
		s.Update(func(u *engine.Usage, t *engine.Timing) {
			u.CompletionTokens += n
			if t.FirstToken.IsZero() {
				t.FirstToken = ev.At
			}
		})
		s.Push(ev)
		f.step(n)
		if ev.Finish != engine.FinishNone {
			return true
		}
	}
	return true
}

func (f *fakeEngine) step(n int) {
	if f.onStep != nil {
		f.onStep(engine.StepStats{Tokens: n, DecodeRows: n, Duration: time.Millisecond})
	}
}

func (f *fakeEngine) wait(ctx context.Context) bool {
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
			return false
		}
	}
	return sleep(ctx, f.pause)
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// wholeRunes splits text before a rune whose end is to come.
func wholeRunes(text string) (whole, rest string) {
	for i := len(text); i > len(text)-4 && i > 0; i-- {
		if c := text[i-1]; c >= 0xC0 {
			return text[:i-1], text[i-1:]
		} else if c < 0x80 {
			break
		}
	}
	if strings.ToValidUTF8(text, "") != text {
		return "", text
	}
	return text, ""
}

// score gives tokens log-probabilities that depend on their ids.
func score(ids []int32, top int) []engine.Token {
	tokens := make([]engine.Token, len(ids))
	for i, id := range ids {
		tokens[i] = engine.Token{ID: id}
		if top < 0 {
			continue
		}
		tokens[i].Logprob = -float32(id) / 256
		for k := range top {
			tokens[i].Top = append(tokens[i].Top, engine.TokenLogprob{ID: (id + int32(k)) % 256, Logprob: -float32(id)/256 - float32(k)})
		}
	}
	return tokens
}

func (f *fakeEngine) Embed(ctx context.Context, inputs [][]int32) ([][]float32, error) {
	out := make([][]float32, len(inputs))
	for i, in := range inputs {
		if !f.wait(ctx) {
			f.cancelled <- context.Cause(ctx).Error()
			return nil, ctx.Err()
		}
		out[i] = []float32{float32(len(in)), 0.5, -0.25}
	}
	return out, nil
}

func (f *fakeEngine) Stats() engine.Stats {
	beat := f.beat
	if beat.IsZero() {
		beat = time.Now()
	}
	return engine.Stats{Running: 3, Waiting: 2, BlocksUsed: 25, BlocksTotal: 100, PrefixQueries: 10, PrefixHits: 4,
		PromptTokens: 7, GenerationTokens: 8, Preemptions: 1, LastStep: beat,
		RunningAdapters: []string{"poet", "clerk"}, WaitingAdapters: []string{"clerk"}}
}

func (f *fakeEngine) OnStep(fn func(engine.StepStats)) { f.onStep = fn }

// fakeTemplate is ChatML with tools in the manner of Hermes.
const fakeTemplate = `{%- if tools %}{{ '<|im_start|>system\n# Tools\n<tools>' }}{% for tool in tools %}{{ '\n' + (tool | tojson) }}{% endfor %}{{ '\n</tools>\nAnswer with <tool_call></tool_call>.<|im_end|>\n' }}{% endif %}` +
	`{%- for message in messages %}{%- if message.role == 'refuse' %}{{ raise_exception('no') }}{% endif %}` +
	`{{ '<|im_start|>' + message.role + '\n' + (message.content or '') }}` +
	`{%- if message.tool_calls %}{% for c in message.tool_calls %}{{ '\n<tool_call>\n' + (c.function | tojson) + '\n</tool_call>' }}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}` +
	`{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}`

func fakeModel(t testing.TB, f *fakeEngine) Model {
	format, err := chat.NewFormat(fakeTemplate, "", "<|im_end|>")
	if err != nil {
		t.Fatal(err)
	}
	return Model{Engine: f, Tokenizer: bytesTokenizer{}, Chat: format, Info: engine.Info{
		ID: "fake", Created: time.Unix(1700000000, 0), Arch: "fake", Type: "F32", Parameters: 42, Context: 4096, Vocab: fakeVocab,
		EmbeddingDim: 3, Generates: true, Embeds: true, Table: "ref", BlockTokens: 16, Blocks: 100, DefaultSampling: sample.Default()}}
}

// harness is a server over an in-memory listener.
type harness struct {
	t      testing.TB
	fake   *fakeEngine
	server *Server
	client *fasthttp.Client
	dial   func() (net.Conn, error)
	logs   *lockedBuffer
}

// lockedBuffer is a log that goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start serves with the defaults, changed by edit.
func start(t testing.TB, fake *fakeEngine, edit func(*Config, *Model)) *harness {
	cfg := DefaultConfig()
	cfg.DrainDelay = 0
	model := fakeModel(t, fake)
	if edit != nil {
		edit(&cfg, &model)
	}
	h := &harness{t: t, fake: fake, logs: &lockedBuffer{}}
	s, err := New(cfg, model, slog.New(slog.NewTextHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	s.newID = func() string { return "0" }
	s.now = func() time.Time { return time.Unix(1700000001, 0) }
	s.ready.Store(true) // the self test would stand among the requests
	h.server = s
	ln := fasthttputil.NewInmemoryListener()
	h.dial = func() (net.Conn, error) { return ln.Dial() }
	h.serve(ln)
	h.client = &fasthttp.Client{Dial: func(string) (net.Conn, error) { return h.dial() }, DisablePathNormalizing: true}
	return h
}

// startTCP is start over a real socket.
func startTCP(t testing.TB, fake *fakeEngine, edit func(*Config, *Model)) *harness {
	h := start(t, fake, edit)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.dial = func() (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) }
	h.serve(ln)
	return h
}

func (h *harness) serve(ln net.Listener) {
	done := make(chan error, 1)
	go func() { done <- h.server.Serve(ln) }()
	h.t.Cleanup(func() {
		h.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		h.server.Shutdown(ctx)
		ln.Close()
		if err := <-done; err != nil {
			h.t.Errorf("Serve: %v", err)
		}
		h.fake.running.Wait()
	})
}

// answer is a whole response.
type answer struct {
	status int
	header map[string]string
	body   string
}

// do sends one request; header is pairs of name and value.
func (h *harness) do(method, path, body string, header ...string) answer {
	h.t.Helper()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI("http://localhost" + path)
	req.Header.SetMethod(method)
	if body != "" {
		req.SetBodyString(body)
		req.Header.SetContentType(typeJSON)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.UseHostHeader = true
		}
		req.Header.Set(header[i], header[i+1])
	}
	if err := h.client.Do(req, resp); err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	a := answer{resp.StatusCode(), map[string]string{}, string(resp.Body())}
	for k, v := range resp.Header.All() {
		a.header[string(k)] = string(v)
	}
	return a
}

func (h *harness) post(path, body string) answer { h.t.Helper(); return h.do("POST", path, body) }

// send writes a request to a fresh connection and leaves the answer to the caller.
func (h *harness) send(path, body string) (net.Conn, *bufio.Reader) {
	h.t.Helper()
	c, err := h.dial()
	if err != nil {
		h.t.Fatal(err)
	}
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	return c, bufio.NewReader(c)
}

// readUntil reads lines until one holds a mark, and returns them.
func readUntil(t testing.TB, r *bufio.Reader, mark string) string {
	t.Helper()
	var all strings.Builder
	for {
		line, err := r.ReadString('\n')
		all.WriteString(line)
		if strings.Contains(line, mark) {
			return all.String()
		}
		if err != nil {
			if err != io.EOF {
				t.Logf("read: %v", err)
			}
			t.Fatalf("the answer ends before %q: %q", mark, all.String())
		}
	}
}
