package load_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/bench/load"
	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/server"
	"go.uber.org/goleak"
)

// TestLoad has 64 streaming clients ask a real server of a real model, a tenth of them
// leaving midway, and looks for what they leave behind. INGOT_SOAK=60s makes it last.
func TestLoad(t *testing.T) {
	openStories(t).Close() // what stays for the process, as the kernels' library, is there now
	before, files := goleak.IgnoreCurrent(), openFiles(t)
	e := openStories(t)
	url, stop := serve(t, e)
	result, err := load.Run(t.Context(), load.Config{
		URL: url, Clients: 64, Duration: soakTime(t), Timeout: time.Minute, Cancel: 0.1, Seed: 1,
		Next: load.Mix{Vocab: e.Info().Vocab, Prompt: load.Uniform(1, 320), Output: load.Uniform(16, 160),
			IgnoreEOS: true, Temperature: 0.8, Seed: 1}.Request,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("64 streaming clients, %d cores, table %s:\n%s", runtime.NumCPU(), e.Info().Table, result.Text())
	checkResult(t, &result, e.Stats())
	wait(t, "blocks, sequences or requests are left", func() (string, bool) {
		s := e.Stats()
		return fmt.Sprintf("%+v", s), s.BlocksUsed == 0 && s.Running == 0 && s.Waiting == 0
	})
	stop()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	wait(t, "descriptors are left", func() (string, bool) {
		now := openFiles(t)
		return fmt.Sprintf("%v, before %v", now, files), len(now) <= len(files)
	})
	// fasthttp's clock and the cleaner of its workers look only every few seconds
	// whether they should end.
	if err := goleak.Find(before, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2")); err != nil {
		t.Error(err)
	}
}

func openStories(t *testing.T) *engine.Engine {
	e, err := engine.Open(engine.Options{Model: quanttest.Shared(t, "data", "models", "stories260K"), Memory: 1 << 30}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// checkResult holds the clients' figures against what was asked and the engine's own.
func checkResult(t *testing.T, r *load.Result, s engine.Stats) {
	if r.Failed > 0 {
		t.Errorf("%d requests failed", r.Failed)
	}
	if r.Completed < 64 || r.Cancelled*20 < r.Requests || r.Cancelled*6 > r.Requests {
		t.Errorf("%d requests completed, %d of %d were cancelled, want about a tenth", r.Completed, r.Cancelled, r.Requests)
	}
	if r.OutputTokens > s.GenerationTokens || r.OutputTokens < s.GenerationTokens*8/10 {
		t.Errorf("the clients saw %d tokens, the engine made %d", r.OutputTokens, s.GenerationTokens)
	}
}

// soakTime is how long to go on.
func soakTime(t *testing.T) time.Duration {
	text := os.Getenv("INGOT_SOAK")
	if text == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("INGOT_SOAK: %v", err)
	}
	return d
}

// serve returns the URL of a server and what ends it.
func serve(t *testing.T, e *engine.Engine) (url string, stop func()) {
	cfg := server.DefaultConfig()
	cfg.DrainDelay = 0
	s, err := server.New(cfg, server.ModelOf(e), nil)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	return "http://" + ln.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

// openFiles returns what the process's descriptors are open on.
func openFiles(t *testing.T) map[string]string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Skipf("cannot list descriptors here: %v", err)
	}
	files := map[string]string{}
	for _, e := range entries {
		// That of the listing itself is closed by now.
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			files[e.Name()] = target
		}
	}
	return files
}

// wait fails if something is still so after some seconds.
func wait(t *testing.T, what string, gone func() (state string, ok bool)) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		state, ok := gone()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %s", what, state)
			return
		}
	}
}
