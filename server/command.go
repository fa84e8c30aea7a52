package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/settings"
	"github.com/ingot-llm/ingot/quant/builtin"
)

// drainTimeout is how long answers in work may go on after SIGTERM: within the 30 s that
// Kubernetes grants by default.
const drainTimeout = 25 * time.Second

// serveOptions are the flags of ingot serve.
type serveOptions struct {
	server  Config
	engine  engine.Options
	config  string
	logJSON bool
}

// Command returns ingot serve; version is what GET /version tells.
func Command(version string) *cobra.Command {
	o := serveOptions{server: DefaultConfig()}
	o.server.Version = version
	cmd := &cobra.Command{
		Use:   "serve [--model PATH]",
		Short: "Serve a model behind an OpenAI-compatible API, with a chat page",
		Long: `Serves a model behind an OpenAI-compatible API at http://127.0.0.1:8080, with a chat page
at the same address. PATH is a GGUF file, a Hugging Face directory or a llama2.c file;
without one the built-in model, a small teller of stories, is served.

Every flag can also be set by an environment variable (INGOT_MAX_SEQS=16) or in the YAML
file of --config (max-seqs: 16); a flag wins over the variable, that over the file.
Another address than loopback needs API keys: INGOT_API_KEYS=name:secret, or a file.
SIGTERM drains: running answers are finished first, a second signal ends at once.`,
		Example: `  ingot serve
  ingot serve --model model.gguf
  ingot serve --model model.gguf --lora poet=adapters/poet --lora clerk=adapters/clerk
  ingot serve --model model.gguf --max-seqs 16 --context 4096 --kv-type q8_0
  INGOT_API_KEYS=alice:secret ingot serve --model model.gguf --listen 0.0.0.0:8080
  curl http://127.0.0.1:8080/v1/completions -d '{"prompt": "Once upon a time", "max_tokens": 50}'`,
		Args: cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.serve(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.engine.Model, "model", builtin.Name, "`path` of the model to serve, or builtin: a small one that tells stories")
	f.StringVar(&o.config, "config", "", "YAML `file` of settings, named as the flags are")
	f.BoolVar(&o.logJSON, "log-json", false, "log in JSON lines")
	o.server.AddFlags(f)
	o.engine.AddFlags(f)
	return cmd
}

// gcPercent lets the Go heap grow to five times what lives before it is collected. It is
// a few megabytes, as weights, caches and activations lie elsewhere, and at the default
// the collector would have its turn a hundred times a second.
const gcPercent = 400

func (o *serveOptions) serve(cmd *cobra.Command) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log, err := o.resolve(cmd)
	if err != nil {
		return err
	}
	e, err := engine.Open(o.engine, log)
	if err != nil {
		return err
	}
	s, err := New(o.server, ModelOf(e), log)
	if err != nil {
		return errors.Join(err, e.Close())
	}
	err = s.run(cmd.Context(), func(address string) {
		fmt.Fprintf(cmd.ErrOrStderr(), "\n  %s is served at %s\n\n", e.Info().ID, address)
	})
	return errors.Join(err, e.Close())
}

// resolve settles the options, refuses what cannot be served and prints the rest once.
func (o *serveOptions) resolve(cmd *cobra.Command) (*slog.Logger, error) {
	f := cmd.Flags()
	if !f.Changed("config") {
		o.config = os.Getenv(settings.EnvName("config"))
	}
	if err := settings.Resolve(f, os.LookupEnv, o.config); err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	if err := o.server.Validate(); err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	if loopback, _ := cli.IsLoopback(o.server.Listen); loopback && !given(f, "drain-delay") {
		o.server.DrainDelay = 0 // no load balancer is in front
	}
	log := o.logger(cmd)
	log.Info("settings", "given", settings.String(f))
	return log, nil
}

func given(f *pflag.FlagSet, name string) bool { return f.Lookup(name).Changed }

func (o *serveOptions) logger(cmd *cobra.Command) *slog.Logger {
	if o.logJSON {
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
}

// run serves until ctx ends, then drains. up is told the address once connections are
// taken.
func (s *Server) run(ctx context.Context, up func(address string)) error {
	ln, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen at %q: %w (is another server running there? choose another address with --listen)", s.cfg.Listen, err)
	}
	up(s.address(ln))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	return errors.Join(s.Shutdown(deadline), <-served)
}

// address is where a browser on this machine finds the server.
func (s *Server) address(ln net.Listener) string {
	scheme := "http"
	if s.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + ln.Addr().String()
}
