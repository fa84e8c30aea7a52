package server

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// TestClients drives real servers of real models with the official OpenAI clients, each
// unmodified. Each script prints a line for each of its checks.
func TestClients(t *testing.T) {
	for _, c := range []struct {
		name    string
		command []string // in testdata/clients
		needs   string   // below the cache folder of testdata/install.sh
		env     []string
	}{
		{"node", []string{"node", "node/client.js"}, "node/node_modules/openai", []string{"NODE_PATH=" + clientCache("node/node_modules")}},
		{"python", []string{clientCache("python/bin/python"), "-B", "python/client.py"}, "python/bin/python", nil},
		{"go", []string{clientCache("go/client")}, "go/client", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := os.Stat(clientCache(c.needs)); err != nil {
				t.Skipf("the client is not installed, run server/testdata/install.sh: %v", err)
			}
			w := startWorld(t)
			runClient(t, c.command, append(c.env, w.env...))
			w.checkIdle(t)
		})
	}
}

// clientCache is where testdata/install.sh puts the clients.
func clientCache(elem string) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return elem
	}
	return filepath.Join(dir, "ingot-test", elem)
}

// runClient runs a script to its end; it fails with what the script printed.
func runClient(t *testing.T, command, env []string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = filepath.Join("testdata", "clients")
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	t.Logf("%v\n%s", command, out.String())
	if err != nil {
		t.Errorf("the client failed: %v", err)
	}
}

// world is the servers that a client is shown and the variables that tell it of them.
type world struct {
	env     []string
	engines map[string]*engine.Engine
}

const clientKey = "sk-local-clients-test"

// startWorld starts a server of each kind: chat, text, embeddings, one with hardly any
// queue, and one that an HTTP request ends in the midst of its work.
func startWorld(t *testing.T) *world {
	stories := []string{"data", "models", "stories260K"}
	golden := func(name string) []string { return []string{"data", "models", "golden", "arch", name} }
	w := &world{env: []string{"INGOT_KEY=" + clientKey, "INGOT_TOO_LARGE=6291456"}, engines: map[string]*engine.Engine{}}
	w.start(t, "CHAT", golden("llama-tied"), engine.Options{})
	w.start(t, "TEXT", stories, engine.Options{})
	w.start(t, "EMBED", golden("bert"), engine.Options{})
	w.start(t, "BUSY", stories, engine.Options{MaxSeqs: 1, MaxWaiting: 1})
	s := w.start(t, "DRAIN", stories, engine.Options{})
	w.setenv("DRAIN_CONTROL", startControl(t, func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Shutdown(now); err == nil {
			t.Error("the server drained although a stream was open and its time was up")
		}
	}))
	return w
}

func (w *world) setenv(name, value string) { w.env = append(w.env, "INGOT_"+name+"="+value) }

// start serves a model of the shared folder on a free port.
func (w *world) start(t *testing.T, name string, path []string, o engine.Options) *Server {
	t.Helper()
	o.Model, o.Memory = quanttest.Shared(t, path...), 1<<30
	e, err := engine.Open(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	cfg := DefaultConfig()
	cfg.DrainDelay, cfg.APIKeys = 0, []string{"clients:" + clientKey}
	s, err := New(cfg, ModelOf(e), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.engines[name] = e
	w.setenv(name+"_URL", serveLoopback(t, s))
	w.setenv(name+"_MODEL", e.Info().ID)
	return s
}

// serveLoopback serves until the test ends and returns the server's URL.
func serveLoopback(t *testing.T, s *Server) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "http://" + ln.Addr().String()
}

// startControl returns a URL at which every request calls f once, before its answer.
func startControl(t *testing.T, f func()) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	control := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { f() })}
	done := make(chan error, 1)
	go func() { done <- control.Serve(ln) }()
	t.Cleanup(func() {
		control.Close()
		<-done
	})
	return "http://" + ln.Addr().String()
}

// checkIdle fails unless every engine comes to rest with no block in use.
func (w *world) checkIdle(t *testing.T) {
	for name, e := range w.engines {
		deadline := time.Now().Add(5 * time.Second)
		for e.Stats().Running+e.Stats().Waiting+e.Stats().BlocksUsed > 0 {
			if time.Now().After(deadline) {
				t.Errorf("%s is not idle after its client left: %+v", name, e.Stats())
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}
