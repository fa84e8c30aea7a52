package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// benchServer is the variable that makes the test's program a server on one core, whose
// processor time is its own: see startBench.
const benchServer = "INGOT_BENCH_SERVER"

// benchEngine stands in for a model that takes no time: it answers at once what is whole,
// and streams a token at each step, whose milliseconds are the request's priority.
type benchEngine struct {
	*fakeEngine
	mu      sync.Mutex
	step    int                    // of the loop, if it runs
	running map[*engine.Stream]int // tokens left
}

func (e *benchEngine) Submit(ctx context.Context, r engine.Request) (*engine.Stream, error) {
	s := engine.NewStream(r.N, func() {})
	now := time.Now()
	s.Update(func(u *engine.Usage, t *engine.Timing) {
		u.PromptTokens, t.Submitted, t.Scheduled = len(r.Prompt), now, now
	})
	if step := r.Priority; step > 0 {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.running[s] = r.MaxTokens
		if e.step == 0 {
			e.step = step
			go e.loop(time.Duration(step) * time.Millisecond)
		}
		return s, nil
	}
	e.push(s, "Hello there!", engine.FinishStop)
	return s, nil
}

func (e *benchEngine) push(s *engine.Stream, text string, f engine.FinishReason) {
	now := time.Now()
	s.Update(func(u *engine.Usage, t *engine.Timing) {
		u.CompletionTokens++
		if t.FirstToken.IsZero() {
			t.FirstToken = now
		}
		if f != engine.FinishNone {
			t.Finished = now
		}
	})
	s.Push(engine.Event{Text: text, Tokens: []engine.Token{{ID: 72}}, At: now, Finish: f, StopID: -1})
}

// benchTokenizer takes no time either.
type benchTokenizer struct{ bytesTokenizer }

func (benchTokenizer) EncodeSegments(dst []int32, segs []tokenizer.Segment) []int32 {
	for _, seg := range segs {
		for i := 0; i < len(seg.Text); i += 4 { // a token has four bytes or so
			dst = append(dst, int32(seg.Text[i]))
		}
	}
	return dst
}

func (e *benchEngine) loop(step time.Duration) {
	for range time.Tick(step) {
		e.mu.Lock()
		for s, left := range e.running {
			if e.running[s] = left - 1; left > 1 {
				e.push(s, " token", engine.FinishNone)
				continue
			}
			delete(e.running, s)
			e.push(s, ".", engine.FinishLength)
		}
		e.mu.Unlock()
	}
}

// serveBench is the server's side: it says its address, and at each line of its input how
// many microseconds of processor time it has used. It ends with its input. A profile of
// its processor time goes to the file that benchServer names.
func serveBench(profile string) {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(gcPercent)
	if out, err := os.Create(profile); err == nil {
		check(pprof.StartCPUProfile(out))
		defer pprof.StopCPUProfile()
	}
	logs, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	check(err)
	e := &benchEngine{fakeEngine: newFake(), running: map[*engine.Stream]int{}}
	model := fakeModel(fatal{}, e.fakeEngine)
	model.Engine, model.Tokenizer = e, benchTokenizer{}
	s, err := New(DefaultConfig(), model, slog.New(slog.NewTextHandler(logs, nil)))
	check(err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() { check(s.Serve(ln)) }()
	fmt.Println(ln.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var r syscall.Rusage
		check(syscall.Getrusage(syscall.RUSAGE_SELF, &r))
		fmt.Println((r.Utime.Sec+r.Stime.Sec)*1e6 + r.Utime.Usec + r.Stime.Usec)
	}
}

// fatal lets fakeModel fail outside of a test.
type fatal struct{ testing.TB }

func (fatal) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// benchProcess is a server in a process of its own.
type benchProcess struct {
	b       *testing.B
	address string
	ask     io.Writer
	answers *bufio.Reader
}

func startBench(b *testing.B) *benchProcess {
	cmd := exec.Command(os.Args[0])
	profile := os.Getenv("INGOT_BENCH_PROFILE") // where the server's profile goes
	cmd.Env = append(os.Environ(), benchServer+"="+profile)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(err)
	out, err := cmd.StdoutPipe()
	check(err)
	check(cmd.Start())
	b.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	p := &benchProcess{b: b, ask: in, answers: bufio.NewReader(out)}
	p.address = p.line()
	return p
}

func (p *benchProcess) line() string {
	line, err := p.answers.ReadString('\n')
	if err != nil {
		p.b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// cpu returns the processor time that the server has used.
func (p *benchProcess) cpu() time.Duration {
	fmt.Fprintln(p.ask)
	us, err := strconv.Atoi(p.line())
	check(err)
	return time.Duration(us) * time.Microsecond
}

func (p *benchProcess) dial() net.Conn {
	c, err := net.Dial("tcp", p.address)
	if err != nil {
		p.b.Fatal(err)
	}
	p.b.Cleanup(func() { c.Close() })
	return c
}

const benchBody = `{"model":"fake","messages":[{"role":"user","content":"What is the capital of France?"}],"temperature":0.7,"max_tokens":16}`

func benchRequest(body string) []byte {
	return fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer none\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// BenchmarkChat asks for short answers over connections that stay open, 16 requests at a
// time on each ("pipelined") or one, and gives the requests that a second of the server's
// processor time is enough for.
func BenchmarkChat(b *testing.B) {
	for _, depth := range []int{1, 16} {
		b.Run(fmt.Sprintf("pipelined=%d", depth), func(b *testing.B) {
			p := startBench(b)
			conns := make([]net.Conn, 8)
			for i := range conns {
				conns[i] = p.dial()
				benchChat(conns[i], 2*depth, depth)
			}
			before := p.cpu()
			b.ResetTimer()
			var all sync.WaitGroup
			for _, c := range conns {
				all.Go(func() { benchChat(c, b.N/len(conns)/depth*depth+depth, depth) })
			}
			all.Wait()
			n := len(conns) * (b.N/len(conns)/depth*depth + depth)
			b.ReportMetric(float64(n)/(p.cpu()-before).Seconds(), "req/cpu-s")
		})
	}
}

// benchChat sends n requests, depth of them before it reads their answers.
func benchChat(c net.Conn, n, depth int) {
	requests := bytes.Repeat(benchRequest(benchBody), depth)
	r := bufio.NewReaderSize(c, 64<<10)
	for ; n > 0; n -= depth {
		_, err := c.Write(requests)
		check(err)
		for range depth {
			check(benchAnswered(r))
		}
	}
}

// benchAnswered reads one answer.
func benchAnswered(r *bufio.Reader) error {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("the answer begins %q", line)
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
		if len(line) == 2 {
			break
		}
	}
	_, err := r.Discard(length)
	return err
}

// BenchmarkStream streams tokens to 64 clients and gives the server's processor time for
// each, the engine's stand-in and the requests included.
func BenchmarkStream(b *testing.B) {
	const clients = 64
	for _, step := range []int{20, 5} {
		b.Run(fmt.Sprintf("step=%dms", step), func(b *testing.B) {
			p := startBench(b)
			tokens := max(b.N/clients, 2)
			body := fmt.Sprintf(`{"messages":[{"role":"user","content":"Hi"}],"stream":true,"priority":%d,"max_tokens":%d}`, step, tokens)
			conns := make([]net.Conn, clients)
			for i := range conns {
				conns[i] = p.dial()
			}
			before := p.cpu()
			b.ResetTimer()
			var all sync.WaitGroup
			for _, c := range conns {
				all.Go(func() {
					_, err := c.Write(benchRequest(body))
					check(err)
					benchStream(b, c, tokens)
				})
			}
			all.Wait()
			b.ReportMetric(float64((p.cpu()-before).Nanoseconds())/1e3/float64(clients*tokens), "cpu-us/token")
		})
	}
}

// benchStream reads a stream to its end and counts its tokens.
func benchStream(b *testing.B, c net.Conn, want int) {
	got := 0
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadSlice('\n')
		check(err)
		if bytes.Contains(line, []byte(`"content":" token"`)) || bytes.Contains(line, []byte(`"content":"."`)) {
			got++
		}
		if bytes.HasPrefix(line, []byte("data: [DONE]")) {
			break
		}
	}
	if got != want {
		b.Errorf("%d tokens, want %d", got, want)
	}
}
