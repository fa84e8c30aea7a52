package board

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ingot-llm/ingot/chart"
	"github.com/ingot-llm/ingot/engine/cli"
)

// Server shows runs in a browser, finished ones and such as are going on: the page asks
// every few seconds for what is new. Safe for concurrent use.
type Server struct {
	hosts []string // that requests may be for; none: any
	http  http.Server
	ln    net.Listener

	mu   sync.Mutex // guards runs
	runs []*Follower
}

// Listen opens a server at the address of a flag for the runs in some folders. Another
// address than loopback must be allowed by public, the flag's name with -public: nobody is
// asked for a key. The caller serves, and closes.
func Listen(flag, address string, public bool, dirs ...string) (*Server, error) {
	loopback, err := cli.IsLoopback(address)
	if err != nil {
		return nil, cli.Usagef("--%s: %w", flag, err)
	}
	if !loopback && !public {
		return nil, cli.Usagef("--%[1]s %[2]s can be reached by other machines, and the dashboard asks nobody for a key: take 127.0.0.1 (ssh -L brings it to another machine), or allow it with --%[1]s-public", flag, address)
	}
	s := &Server{}
	if loopback {
		s.hosts = cli.LoopbackHosts(address)
	}
	for _, dir := range dirs {
		f := &Follower{Dir: dir}
		if err := f.Read(); err != nil {
			return nil, fmt.Errorf("%w: want the --out of a training run", err)
		}
		s.runs = append(s.runs, f)
	}
	if s.ln, err = net.Listen("tcp", address); err != nil {
		return nil, fmt.Errorf("cannot show the dashboard: %w (--%s 127.0.0.1:0 takes any free port)", err, flag)
	}
	s.http = http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	return s, nil
}

// URL is where a browser finds the page.
func (s *Server) URL() string { return "http://" + s.ln.Addr().String() }

// Serve answers requests until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.http.Serve(s.ln); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// Close ends Serve.
func (s *Server) Close() error { return s.http.Close() }

// handler serves the page's files and what it asks for.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for path, file := range map[string]struct{ kind, text string }{
		"/{$}":         {"text/html; charset=utf-8", mustRead("page/live.html")},
		"/style.css":   {"text/css; charset=utf-8", string(style) + mustRead("page/live.css")},
		"/values.js":   {"text/javascript; charset=utf-8", chart.Script},
		"/live.js":     {"text/javascript; charset=utf-8", mustRead("page/live.js")},
		"/favicon.ico": {"image/svg+xml", icon},
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", file.kind)
			_, _ = w.Write([]byte(file.text)) // a browser that is gone
		})
	}
	mux.HandleFunc("GET /view", s.view)
	return s.guard(mux)
}

// icon is a falling curve.
const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M1 2c2 9 6 11 14 12" fill="none" stroke="#c2410c" stroke-width="2.5"/></svg>`

func mustRead(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic("BUG: the page is not embedded: " + err.Error())
	}
	return string(text)
}

// guard refuses names that are not ours, and lets the page load this server's files only.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if len(s.hosts) > 0 && !slices.Contains(s.hosts, cli.HostOnly(r.Host)) {
			http.Error(w, "the request names a server that this one is not", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// parts are the page's sections as HTML, by their elements' ids, and which state they show.
type parts struct {
	Version string            `json:"version"`
	Parts   map[string]string `json:"parts"`
}

// view answers with the page's sections, or with 204 where nothing is new since "seen".
func (s *Server) view(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	x := q.Get("x")
	if !slices.Contains(Axes, x) {
		x = Axes[0]
	}
	p, err := s.parts(q.Get("seen"), x, q.Get("log") == "true", strings.Split(q.Get("off"), ","))
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case p == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(p) // a browser that is gone
	}
}

// summaryRow is a run in the page's table.
type summaryRow struct {
	row
	Off bool
}

// parts reads what is new in the logs. off are the numbers of runs that are not drawn.
func (s *Server) parts(seen, x string, log bool, off []string) (*parts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []summaryRow
	var drawn []Named
	version := fmt.Sprint(x, log, off)
	for i, f := range s.runs {
		if err := f.Read(); err != nil {
			return nil, err
		}
		run := Named{&f.Run, s.name(i), i}
		state := f.Run.State(time.Now(), f.Updated())
		version += fmt.Sprint(" ", f.reads, state)
		hidden := slices.Contains(off, strconv.Itoa(i))
		rows = append(rows, summaryRow{summary(run, state), hidden})
		if !hidden {
			drawn = append(drawn, run)
		}
	}
	if version == seen {
		return nil, nil
	}
	all := make([]samples, len(drawn))
	for i := range drawn {
		all[i] = drawn[i].samples()
	}
	p := &parts{Version: version, Parts: map[string]string{}}
	for name, data := range map[string]any{"summary": rows, "charts": charts(drawn, x, log), "events": happened(drawn), "samples": all, "configuration": configuration(drawn)} {
		var html bytes.Buffer
		if err := pages.ExecuteTemplate(&html, name, data); err != nil {
			return nil, err
		}
		p.Parts[name] = html.String()
	}
	return p, nil
}

// name tells the i-th run from the others: by its folder's name, or its whole path where
// several have that.
func (s *Server) name(i int) string {
	for j, f := range s.runs {
		if j != i && f.Name() == s.runs[i].Name() {
			return s.runs[i].Dir
		}
	}
	return s.runs[i].Name()
}
