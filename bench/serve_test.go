package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/bench/load"
	"github.com/ingot-llm/ingot/bench/report"
)

// fakeServer is an OpenAI-compatible server that says "a" as often as it is asked for
// tokens, and counts. limit, if not 0, is how many requests it serves at once; the
// others wait.
type fakeServer struct {
	*httptest.Server
	asked  atomic.Int64
	places chan struct{}
	takes  time.Duration
	mu     sync.Mutex
	bodies []string
}

func newFake(t *testing.T) *fakeServer {
	f := &fakeServer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":[{"id":"fake"}]}`) })
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "asked_total{engine=\"0\"} %d\nhttp_x %d\n", f.asked.Load(), f.asked.Load())
	})
	mux.HandleFunc("POST /v1/chat/completions", f.answer)
	mux.HandleFunc("POST /v1/completions", f.answer)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeServer) answer(w http.ResponseWriter, r *http.Request) {
	var body struct {
		MaxTokens int `json:"max_tokens"`
		Model     string
		Messages  []struct{ Role string }
		Prompt    json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Model != "fake" {
		http.Error(w, "what?", http.StatusBadRequest)
		return
	}
	f.asked.Add(1)
	f.mu.Lock()
	f.bodies = append(f.bodies, fmt.Sprint(len(body.Messages), len(body.Prompt), body.MaxTokens))
	f.mu.Unlock()
	if f.places != nil {
		f.places <- struct{}{}
		time.Sleep(f.takes)
		<-f.places
	}
	for range body.MaxTokens {
		fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"text\":\"a\",\"delta\":{\"content\":\"\"}}]}\n\n")
	}
	fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", body.MaxTokens)
}

// TestServeCommand: every way of load gives a run of the right numbers, on the screen,
// as JSON, in a file and as a page.
func TestServeCommand(t *testing.T) {
	f := newFake(t)
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace.jsonl")
	if err := os.WriteFile(trace, []byte("{\"timestamp\":0,\"input_length\":9,\"output_length\":3}\n{\"timestamp\":40,\"input_length\":8,\"output_length\":3}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	common := "bench serve --url " + f.URL + "/v1 --duration 60s --warmup 0s --prompt 4 --output 3 --json "
	for flags, want := range map[string]struct {
		arrivals       string
		runs, requests int
	}{
		"--clients 1,2 --requests 5":                                 {"closed loop", 2, 5},
		"--rate 500 --requests 6":                                    {"poisson", 1, 6},
		"--rate 500 --burst 3 --requests 6":                          {"bursts of 3", 1, 6},
		"--steps 200:1s,900:1s --requests 7":                         {"poisson in steps 200:1s,900:1s", 1, 7},
		"--ramp 900:1000 --requests 7":                               {"poisson on a ramp 900:1000", 1, 7},
		"--trace " + trace:                                           {"trace of 2 requests, 1 times as fast", 1, 2},
		"--turns 3 --requests 2 --clients 1":                         {"closed loop", 1, 6},
		"--text --vocab 99 --requests 3":                             {"closed loop", 1, 3},
		"--slo ttft=1m,e2e=1m --requests 3 --long-share 1 --long 50": {"closed loop", 1, 3},
	} {
		out, _, err := command(strings.Fields(common + flags)...)
		if err != nil {
			t.Errorf("%s: %v", flags, err)
			continue
		}
		runs, err := report.Read(strings.NewReader(out))
		if err != nil || len(runs) != want.runs {
			t.Errorf("%s: %d runs (%v)", flags, len(runs), err)
			continue
		}
		r := runs[0]
		if r.Arrivals != want.arrivals || r.Completed != want.requests || r.Failed != 0 || r.OutputTokens != int64(3*want.requests) || r.Model != "fake" {
			t.Errorf("%s: %+v", flags, r)
		}
		if (r.Goodput > 0) != strings.Contains(flags, "slo") || (r.Met != nil) != strings.Contains(flags, "slo") {
			t.Errorf("%s: goodput %v, met %v", flags, r.Goodput, r.Met)
		}
	}
	file, page := filepath.Join(dir, "runs.jsonl"), filepath.Join(dir, "page.html")
	out, _, err := command("bench", "serve", "--url", f.URL, "--clients", "1,3", "--requests", "4", "--duration", "1m", "--warmup", "0s", "--out", file, "--html", page)
	if err != nil || !strings.Contains(out, "1 client\n4 requests") || !strings.Contains(out, "3 clients\n") {
		t.Errorf("printed (%v)\n%s", err, out)
	}
	if _, _, err := command("bench", "report", file, file, "-o", filepath.Join(dir, "both.html")); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"page.html": "1 client", "both.html": "runs: 3 clients"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %q (%v)", name, want, err)
		}
	}
}

// TestServeAsksAsTold: the bodies are those of a chat of so many messages, or ids.
func TestServeAsksAsTold(t *testing.T) {
	f := newFake(t)
	if _, _, err := command("bench", "serve", "--url", f.URL, "--turns", "2", "--requests", "1", "--clients", "1", "--duration", "1m", "--warmup", "0s", "--output", "7"); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(f.bodies, ", "), "1 0 7, 1 0 7, 3 0 7"; got != want { // the first one only tries
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestServeRefusals(t *testing.T) {
	f := newFake(t)
	_, _, err := command("bench", "serve", "--url", f.URL, "--model", "other")
	if err == nil || !strings.Contains(err.Error(), "status 400") || !strings.Contains(err.Error(), "--text") {
		t.Errorf("a server that refuses gave %v", err)
	}
	f.Close()
	if _, _, err := command("bench", "serve", "--url", f.URL); err == nil || !strings.Contains(err.Error(), "nobody answers") {
		t.Errorf("no server gave %v", err)
	}
	if _, _, err := command("bench", "report", filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a report of no file")
	}
}

// TestFindMax: a server that does 100 requests a second, one after another, is found to.
func TestFindMax(t *testing.T) {
	f := newFake(t)
	f.places, f.takes = make(chan struct{}, 1), 10*time.Millisecond
	out, _, err := command("bench", "serve", "--url", f.URL, "--find-max", "--slo", "ttft_p90=100ms", "--rate", "20", "--duration", "250ms", "--warmup", "0s", "--output", "1")
	var rate float64
	_, line, _ := strings.Cut(out, "highest rate at which ttft_p90=100ms holds: ")
	if _, failed := fmt.Sscan(line, &rate); err != nil || failed != nil {
		t.Fatalf("printed (%v)\n%s", err, out)
	}
	// 250 ms at a rate r make a queue of (r-100)*0.25 requests, which waits 10 ms each:
	// 100 ms at r = 140, and Poisson's noise of +-25 % with so few; a slow machine less.
	if rate < 5 || rate > 320 {
		t.Errorf("found %v requests/s, want about 140", rate)
	}
}

func TestNextRate(t *testing.T) {
	for _, c := range [][3]float64{{4, 0, 8}, {0, 4, 2}, {4, 8, 6}} {
		if got := nextRate(c[0], c[1]); got != c[2] {
			t.Errorf("between %v and %v comes %v, want %v", c[0], c[1], got, c[2])
		}
	}
}

// TestMetricsOf: counters become rates, what never changes or belongs to the runtime is
// left out, and labels that tell nothing are too.
func TestMetricsOf(t *testing.T) {
	start := time.Unix(100, 0)
	var samples []load.Sample
	for i := range 4 {
		v := float64(i)
		samples = append(samples, load.Sample{At: start.Add(time.Duration(i-1) * 2 * time.Second), Values: map[string]float64{
			"running{m=\"x\"}": v, "tokens_total{m=\"x\"}": 10 * v, "used{b=\"1\"}": v, "used{b=\"2\"}": v, "same": 5, "go_x": v, "h_bucket{le=\"1\"}": v, "http_y": v,
		}})
	}
	got := metricsOf(samples, start)
	if len(got) != 4 || got[0].Name != "running" || got[1].Name != "tokens_total a second" || got[2].Name != `used{b="1"}` {
		t.Fatalf("metrics %+v", got)
	}
	if fmt.Sprint(got[0]) != "{running [0 2 4] [1 2 3]}" || fmt.Sprint(got[1].Values) != "[5 5 5]" {
		t.Errorf("metrics %v", got)
	}
}
