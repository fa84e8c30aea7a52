package server

import (
	"errors"
	"fmt"
	"time"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/settings"
	"github.com/spf13/pflag"
)

// Config says how to serve. DefaultConfig gives the defaults; New refuses what Validate
// refuses.
type Config struct {
	// Listen is the address, "host:port". Anything but loopback needs an API key.
	Listen string
	// ModelNames are further names of the model beside its own; the first one, if
	// any, is what answers call it.
	ModelNames []string

	// APIKeys are accepted keys, "key" or "name:key"; the lines of APIKeyFile add to
	// them. They are meant to come from the environment's INGOT_API_KEYS or the
	// configuration file: arguments are visible to every user of the machine.
	APIKeys    []string
	APIKeyFile string
	// AllowedHosts are accepted values of the Host header beside the loopback names.
	// Empty on a non-loopback address: any.
	AllowedHosts []string
	// AllowedOrigins are the web origins ("https://example.org", or "*") whose pages
	// may call the API. Empty: no other origin.
	AllowedOrigins []string
	// TLSCert and TLSKey are PEM files; both or none.
	TLSCert string
	TLSKey  string

	// Strict refuses unknown fields instead of naming them in a warning header.
	Strict bool
	// TemplateKwargs are the names that chat_template_kwargs may set. Empty: none.
	TemplateKwargs []string

	MaxBodyBytes   int
	MaxHeaderBytes int
	// MaxConnections bounds all connections, MaxConnectionsPerIP those of one
	// address; what is over is closed.
	MaxConnections      int
	MaxConnectionsPerIP int

	HeaderTimeout time.Duration // first byte to end of header
	BodyTimeout   time.Duration
	IdleTimeout   time.Duration // between requests
	// WriteTimeout cuts a reader that takes nothing for so long.
	WriteTimeout time.Duration
	// Heartbeat is the longest silence of a stream: then a comment is sent.
	Heartbeat time.Duration
	// StallTimeout is how long the engine may have work and make no step before
	// /livez fails.
	StallTimeout time.Duration
	// DrainDelay is how long a server that shuts down still answers new requests,
	// with 503, so that load balancers see it leave.
	DrainDelay time.Duration

	// Version is what GET /version tells.
	Version string
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Listen:              "127.0.0.1:8080",
		MaxBodyBytes:        4 << 20,
		MaxHeaderBytes:      16 << 10,
		MaxConnections:      4096,
		MaxConnectionsPerIP: 1024,
		HeaderTimeout:       5 * time.Second,
		BodyTimeout:         30 * time.Second,
		IdleTimeout:         60 * time.Second,
		WriteTimeout:        10 * time.Second,
		Heartbeat:           15 * time.Second,
		StallTimeout:        30 * time.Second,
		DrainDelay:          5 * time.Second,
		Version:             "dev",
	}
}

// AddFlags defines a flag for every field but Version; the values in c are the defaults.
func (c *Config) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&c.Listen, "listen", c.Listen, "address to serve at")
	fs.StringSliceVar(&c.ModelNames, "model-name", c.ModelNames, "name of the model in the API; may be repeated")
	fs.StringVar(&c.APIKeyFile, "api-key-file", c.APIKeyFile, "`file` of API keys, a key or name:key on each line")
	fs.StringSliceVar(&c.APIKeys, "api-keys", c.APIKeys, "API `keys`, each key or name:key; give them by INGOT_API_KEYS, not here, where other users see them")
	if err := fs.SetAnnotation("api-keys", settings.Secret, nil); err != nil {
		panic("BUG: " + err.Error())
	}
	fs.StringSliceVar(&c.AllowedHosts, "allowed-host", c.AllowedHosts, "accepted Host header; may be repeated")
	fs.StringSliceVar(&c.AllowedOrigins, "allowed-origin", c.AllowedOrigins, "web origin whose pages may call the API; may be repeated")
	fs.StringVar(&c.TLSCert, "tls-cert", c.TLSCert, "certificate chain, a PEM `file`")
	fs.StringVar(&c.TLSKey, "tls-key", c.TLSKey, "private key, a PEM `file`")
	fs.BoolVar(&c.Strict, "strict", c.Strict, "refuse unknown request fields")
	fs.StringSliceVar(&c.TemplateKwargs, "template-kwarg", c.TemplateKwargs, "`name` that chat_template_kwargs may set; may be repeated")
	fs.IntVar(&c.MaxBodyBytes, "max-body-bytes", c.MaxBodyBytes, "largest request body")
	fs.IntVar(&c.MaxHeaderBytes, "max-header-bytes", c.MaxHeaderBytes, "largest request header")
	fs.IntVar(&c.MaxConnections, "max-connections", c.MaxConnections, "most connections at a time")
	fs.IntVar(&c.MaxConnectionsPerIP, "max-connections-per-ip", c.MaxConnectionsPerIP, "most connections of one address")
	fs.DurationVar(&c.HeaderTimeout, "header-timeout", c.HeaderTimeout, "time for a request's header")
	fs.DurationVar(&c.BodyTimeout, "body-timeout", c.BodyTimeout, "time for a request's body")
	fs.DurationVar(&c.IdleTimeout, "idle-timeout", c.IdleTimeout, "time between two requests of a connection")
	fs.DurationVar(&c.WriteTimeout, "write-timeout", c.WriteTimeout, "time after which a reader that takes nothing is cut")
	fs.DurationVar(&c.Heartbeat, "heartbeat", c.Heartbeat, "longest silence of a stream")
	fs.DurationVar(&c.StallTimeout, "stall-timeout", c.StallTimeout, "time without a step after which /livez fails")
	fs.DurationVar(&c.DrainDelay, "drain-delay", c.DrainDelay, "time during which a server that shuts down still answers 503")
}

// Validate tells what is wrong with c.
func (c *Config) Validate() error {
	for _, limit := range []struct {
		name string
		ok   bool
	}{
		{"max-body-bytes", c.MaxBodyBytes > 0}, {"max-header-bytes", c.MaxHeaderBytes >= 1024},
		{"max-connections", c.MaxConnections > 0}, {"max-connections-per-ip", c.MaxConnectionsPerIP > 0},
		{"header-timeout", c.HeaderTimeout > 0}, {"body-timeout", c.BodyTimeout > 0}, {"idle-timeout", c.IdleTimeout > 0},
		{"write-timeout", c.WriteTimeout > 0}, {"heartbeat", c.Heartbeat > 0}, {"stall-timeout", c.StallTimeout > 0},
		{"drain-delay", c.DrainDelay >= 0},
	} {
		if !limit.ok {
			return fmt.Errorf("%s is too small", limit.name)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("tls-cert and tls-key must be given together")
	}
	for _, name := range c.TemplateKwargs {
		if reservedKwarg(name) {
			return fmt.Errorf("template-kwarg %q would hide a variable that the server sets", name)
		}
	}
	loopback, err := cli.IsLoopback(c.Listen)
	if err != nil {
		return err
	}
	if !loopback && !c.hasKeys() {
		return fmt.Errorf("cannot listen at %q without an API key: set INGOT_API_KEYS or --api-key-file, or listen at 127.0.0.1", c.Listen)
	}
	return nil
}

func (c *Config) hasKeys() bool {
	return len(c.APIKeys) > 0 || c.APIKeyFile != ""
}
