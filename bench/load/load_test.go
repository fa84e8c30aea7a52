package load

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fake serves f and returns a configuration of two clients that ask it.
func fake(t *testing.T, f http.HandlerFunc) Config {
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return Config{URL: server.URL, Clients: 2, Duration: time.Minute, Requests: 20, Timeout: 10 * time.Second,
		Next: Mix{Prompt: Uniform(1, 9), Output: Fixed(8)}.Request}
}

// say streams n chunks and the usage.
func say(w http.ResponseWriter, n int) {
	for range n {
		fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"text\":\"a\"}],\"usage\":null}\n\n")
	}
	fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", 2*n)
}

func run(t *testing.T, cfg Config) Result {
	t.Helper()
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != r.Completed+r.Cancelled+r.Failed {
		t.Errorf("%d requests, but %d completed, %d cancelled, %d failed", r.Requests, r.Completed, r.Cancelled, r.Failed)
	}
	return r
}

func TestRunCounts(t *testing.T) {
	var asked atomic.Int64
	cfg := fake(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/v1/completions" || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("asked %s with %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		say(w, 5)
	})
	cfg.Key = "secret"
	r := run(t, cfg)
	if asked.Load() != 20 || r.Completed != 20 || r.Failed != 0 {
		t.Errorf("20 requests: %d asked, %+v", asked.Load(), r)
	}
	if r.OutputTokens != 20*10 || r.PromptTokens != 20*3 {
		t.Errorf("%d output and %d prompt tokens, want 200 and 60", r.OutputTokens, r.PromptTokens)
	}
	if r.TimeToFirst.Count != 20 || r.EndToEnd.Count != 20 || r.PerToken.Count != 20 || r.InterToken.Count != 20*4 {
		t.Errorf("latencies counted %d %d %d %d", r.TimeToFirst.Count, r.EndToEnd.Count, r.PerToken.Count, r.InterToken.Count)
	}
	if r.EndToEnd.P50 < r.TimeToFirst.P50 || r.EndToEnd.Max < r.EndToEnd.P99 {
		t.Errorf("latencies are out of order: %s", r.Text())
	}
}

// TestRunKinds checks under which kind each fault of a server is counted.
func TestRunKinds(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	for kind, f := range map[string]http.HandlerFunc{
		"status 429": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "full", http.StatusTooManyRequests) },
		"error in mid-stream": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "data: {\"error\":{\"message\":\"full\"}}\n\n")
		},
		"not understood": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "data: {\n\n") },
		"truncated":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "data: {\"choices\":[]}\n\n") },
		"connection":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"timeout": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-hang:
			}
		},
	} {
		cfg := fake(t, f)
		cfg.Requests, cfg.Timeout = 2, time.Second
		if kind == "timeout" {
			cfg.Timeout = 10 * time.Millisecond
		}
		r := run(t, cfg)
		if r.Failed != 2 || r.Errors[kind].Count != 2 {
			t.Errorf("%s: %d failed, %+v", kind, r.Failed, r.Errors)
		}
		if !strings.Contains(r.Text(), "2 x "+kind+": ") {
			t.Errorf("%s does not stand in:\n%s", kind, r.Text())
		}
	}
}

func TestRunNobodyThere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	cfg := fake(t, nil)
	cfg.URL, cfg.Requests = "http://"+ln.Addr().String(), 2
	if r := run(t, cfg); r.Errors["connection"].Count != 2 {
		t.Errorf("%+v", r)
	}
}

// TestRunCancels checks that about the asked share is cut, and that the connections of
// the others are used again.
func TestRunCancels(t *testing.T) {
	var connections sync.Map
	cfg := fake(t, func(w http.ResponseWriter, r *http.Request) {
		connections.Store(r.RemoteAddr, true)
		w.(http.Flusher).Flush()
		for range 8 {
			fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\n")
			w.(http.Flusher).Flush()
		}
		say(w, 0)
	})
	cfg.Requests, cfg.Cancel = 200, 0.25
	r := run(t, cfg)
	if r.Cancelled < 25 || r.Cancelled > 75 || r.Failed != 0 { // 50 expected, 4 deviations each way
		t.Errorf("a quarter of 200 requests: %d cancelled, %d failed", r.Cancelled, r.Failed)
	}
	used := 0
	connections.Range(func(any, any) bool { used++; return true })
	if used > r.Cancelled+cfg.Clients {
		t.Errorf("%d connections for %d clients and %d cancellations", used, cfg.Clients, r.Cancelled)
	}
}

// TestRunCancelReachesServer checks that a client that leaves closes its connection.
func TestRunCancelReachesServer(t *testing.T) {
	var left atomic.Int64
	cfg := fake(t, func(w http.ResponseWriter, r *http.Request) {
		for range 8 {
			fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\n")
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		left.Add(1)
	})
	cfg.Cancel = 1
	if r := run(t, cfg); r.Cancelled != 20 {
		t.Errorf("%d of 20 cancelled: %+v", r.Cancelled, r.Errors)
	}
	for deadline := time.Now().Add(5 * time.Second); left.Load() != 20; {
		if time.Now().After(deadline) {
			t.Fatalf("the server noticed %d of 20", left.Load())
		}
		time.Sleep(time.Millisecond)
	}
}

// TestOpenLoopCountsWaiting checks that a server that stalls once is charged with the
// wait of all who came meanwhile.
func TestOpenLoopCountsWaiting(t *testing.T) {
	const stall = 300 * time.Millisecond
	var once sync.Once
	cfg := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() { time.Sleep(stall) })
		say(w, 1)
	})
	cfg.Clients, cfg.Arrivals, cfg.Requests = 1, Poisson(500, 0), 100 // 200 ms of arrivals, all within the stall
	r := run(t, cfg)
	if r.Completed != 100 || r.EndToEnd.P50 < stall/3 {
		t.Errorf("the median of those who waited for a stall of %s is %s", stall, r.EndToEnd.P50)
	}
	closed := cfg
	closed.Arrivals, once = nil, sync.Once{}
	if r := run(t, closed); r.EndToEnd.P50 >= stall/3 {
		t.Errorf("the closed loop has a median of %s", r.EndToEnd.P50)
	}
}

// TestOpenLoopArrivals checks number and spread of arrivals.
func TestOpenLoopArrivals(t *testing.T) {
	start := time.Now().Add(-time.Hour) // all of it is past: nothing waits
	cfg := Config{Arrivals: Poisson(100, 5), Duration: 100 * time.Second}
	next, stop := openLoop(t.Context(), &cfg, start)
	defer stop()
	var gaps, squares float64
	before, n := start, 0
	for a, more := next(); more; a, more = next() {
		gap := a.at.Sub(before).Seconds()
		gaps, squares, before, n = gaps+gap, squares+gap*gap, a.at, n+1
	}
	if n < 9600 || n > 10400 { // 10000 expected, standard deviation 100
		t.Errorf("%d arrivals", n)
	}
	mean := gaps / float64(n)
	if spread := squares/float64(n)/(mean*mean) - 1; spread < 0.9 || spread > 1.1 { // 1 for exponential gaps
		t.Errorf("the gaps' squared variation is %.3f", spread)
	}
}

func TestRunEndsWithContext(t *testing.T) {
	cfg := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	cfg.Next = func(n int) Request { cancel(); return Request{Path: "/", Body: []byte("{}")} }
	if r, err := Run(ctx, cfg); err != context.Canceled || r.Requests != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{URL: "http://127.0.0.1", Clients: 1, Duration: 1, Timeout: 1, Next: Mix{}.Request}
	for name, edit := range map[string]func(*Config){
		"URL": func(c *Config) { c.URL = "" }, "Next": func(c *Config) { c.Next = nil }, "clients": func(c *Config) { c.Clients = 0 },
		"duration": func(c *Config) { c.Duration = 0 }, "cancelled": func(c *Config) { c.Cancel = 1.5 }, "warm-up": func(c *Config) { c.WarmUp = -1 },
	} {
		cfg := good
		edit(&cfg)
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMix(t *testing.T) {
	m := Mix{Model: "m", Vocab: 512, Prompt: Uniform(1, 64), Output: Uniform(4, 16), IgnoreEOS: true, Seed: 1}
	short, long := 64, 1
	for n := range 200 {
		r := m.Request(n)
		if !reflect.DeepEqual(r, m.Request(n)) {
			t.Fatalf("request %d differs the second time", n)
		}
		var b struct {
			Prompt    []int
			MaxTokens int `json:"max_tokens"`
		}
		if err := json.Unmarshal(r.Body, &b); err != nil {
			t.Fatal(err)
		}
		short, long = min(short, len(b.Prompt)), max(long, len(b.Prompt))
		if b.MaxTokens != r.MaxTokens || b.MaxTokens < 4 || b.MaxTokens > 16 {
			t.Errorf("request %d asks for %d tokens and says %d", n, b.MaxTokens, r.MaxTokens)
		}
	}
	if short > 4 || long < 60 {
		t.Errorf("prompts of %d to %d tokens, want 1 to 64", short, long)
	}
	m.Chat = true
	if r := m.Request(0); r.Path != "/v1/chat/completions" || !strings.Contains(string(r.Body), `"messages":[{"role":"user"`) {
		t.Errorf("%s %s", r.Path, r.Body)
	}
}
