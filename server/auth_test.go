package server

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

const (
	keyAnn = "sk-ann-0123456789"
	keyBob = "sk-bob-0123456789"
)

func withKeys(c *Config, _ *Model) { c.APIKeys = []string{"ann:" + keyAnn, keyBob} }

func basic(password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+password))
}

// TestKeyMatrix sends every route with every kind of credentials.
func TestKeyMatrix(t *testing.T) {
	h := start(t, newFake(), withKeys)
	credentials := []struct {
		header string
		ok     bool
	}{
		{"", false}, {"Bearer " + keyAnn, true}, {"bearer " + keyBob, true}, {basic(keyAnn), true},
		{"Bearer ", false}, {"Bearer " + keyAnn + "x", false}, {"Bearer " + keyAnn[:len(keyAnn)-1], false}, {"Bearer ann:" + keyAnn, false},
		{"Bearer ann", false}, {keyAnn, false}, {"Token " + keyAnn, false}, {basic("wrong-password"), false}, {"Basic ????", false}, {"Bearer " + strings.Repeat("x", 8000), false},
	}
	for _, r := range append(routes, route{method: "GET", path: "/no/such/route"}, route{method: "DELETE", path: "/v1/models"}) {
		for _, c := range credentials {
			a := h.do(r.method, strings.ReplaceAll(r.path, "{id}", "fake"), "", "Authorization", c.header)
			if denied := a.status == 401; denied == (c.ok || r.public) {
				t.Errorf("%s %s with %.40q: %d", r.method, r.path, c.header, a.status)
			}
			if a.status != 401 {
				continue
			}
			want := "Bearer"
			if r.page {
				want = "Basic"
			}
			if !strings.HasPrefix(a.header["Www-Authenticate"], want) || !strings.Contains(a.body, "authentication_error") {
				t.Errorf("%s %s: the challenge is %q: %s", r.method, r.path, a.header["Www-Authenticate"], a.body)
			}
		}
	}
}

// TestOneSpelling sends paths that a lenient router would take for a known one.
func TestOneSpelling(t *testing.T) {
	h := start(t, newFake(), withKeys)
	for _, path := range []string{"//livez", "/livez/", "/LIVEZ", "/%6Civez", "/./livez", "/v1/../livez", "/livez%00", "/livez;x", "//v1/models", "/v1%2Fmodels"} {
		if a := h.do("GET", path, ""); a.status != 401 {
			t.Errorf("%s without a key: %d", path, a.status)
		}
		if a := h.do("GET", path, "", "Authorization", "Bearer "+keyAnn); a.status != 404 {
			t.Errorf("%s with a key: %d", path, a.status)
		}
	}
	if a := h.do("POST", "/v1/models", "", "X-HTTP-Method-Override", "GET", "Authorization", "Bearer "+keyAnn); a.status != 405 || a.header["Allow"] != "GET" {
		t.Errorf("POST /v1/models: %d, Allow %q", a.status, a.header["Allow"])
	}
}

// TestKeyIsFairnessClass checks that the engine sees the key's name and never the key.
func TestKeyIsFairnessClass(t *testing.T) {
	h := start(t, newFake(), withKeys)
	h.do("POST", "/v1/completions", `{"prompt":"a"}`, "Authorization", "Bearer "+keyAnn)
	if r := h.fake.last(); r.Key != "ann" || r.Salt != "ann\x00" {
		t.Errorf("key %q, salt %q", r.Key, r.Salt)
	}
	h.do("POST", "/v1/completions", `{"prompt":"a"}`, "Authorization", "Bearer "+keyBob)
	if r := h.fake.last(); r.Key != "key2" {
		t.Errorf("key %q", r.Key)
	}
}

// TestNoSecretsInLogs sends a canary key and prompt through answers and errors.
func TestNoSecretsInLogs(t *testing.T) {
	fake := newFake()
	h := startTCP(t, fake, func(c *Config, m *Model) { c.APIKeys = []string{"sk-CANARYKEY-1"} })
	for _, body := range []string{`{"prompt":"CANARYPROMPT"}`, `{"prompt":"CANARYPROMPT","n":0}`, `{"prompt":"CANARYPROMPT"`, `{"prompt":["CANARYPROMPT",1]}`, `{"prompt":"CANARYPROMPT","stream":true}`} {
		for _, key := range []string{"sk-CANARYKEY-1", "sk-CANARYKEY-2"} {
			fake.fail = nil
			h.do("POST", "/v1/completions", body, "Authorization", "Bearer "+key)
			fake.fail = fmt.Errorf("broken")
			h.do("POST", "/v1/completions", body, "Authorization", "Bearer "+key)
		}
	}
	c, err := h.dial()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-CANARYKEY-1\r\nContent-Le")
	c.Close()
	metrics := h.do("GET", "/metrics", "", "Authorization", "Bearer sk-CANARYKEY-1").body
	if logs := h.logs.String() + metrics; strings.Contains(logs, "CANARY") || !strings.Contains(logs, "route=/v1/completions") {
		t.Errorf("the log shows a secret, or nothing: %s", logs)
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := DefaultConfig()
	cfg.APIKeyFile = path
	write("# who\nann:" + keyAnn + "\n\n  " + keyBob + "  \n")
	ring, err := loadKeys(&cfg)
	if err != nil || len(ring) != 2 {
		t.Fatalf("%d keys, %v", len(ring), err)
	}
	if name, ok := ring.find([]byte(keyAnn)); !ok || name != "ann" {
		t.Errorf("ann is %q %v", name, ok)
	}
	for _, bad := range []string{"", "# none\n", "short\n", "x:\n", ":" + keyAnn + "\n", "two words here\n"} {
		write(bad)
		if _, err := loadKeys(&cfg); err == nil || strings.Contains(err.Error(), keyAnn) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		edit func(*Config)
		ok   bool
	}{
		{func(*Config) {}, true},
		{func(c *Config) { c.Listen = "0.0.0.0:80" }, false},
		{func(c *Config) { c.Listen = ":80" }, false},
		{func(c *Config) { c.Listen = "[::]:80" }, false},
		{func(c *Config) { c.Listen = "example.org:80" }, false},
		{func(c *Config) { c.Listen = "192.168.1.2:80" }, false},
		{func(c *Config) { c.Listen = "0.0.0.0:80"; c.APIKeys = []string{keyAnn} }, true},
		{func(c *Config) { c.Listen = "[::1]:80" }, true},
		{func(c *Config) { c.Listen = "127.1.2.3:80" }, true},
		{func(c *Config) { c.Listen = "localhost:0" }, true},
		{func(c *Config) { c.Listen = "localhost" }, false},
		{func(c *Config) { c.MaxBodyBytes = 0 }, false},
		{func(c *Config) { c.HeaderTimeout = 0 }, false},
		{func(c *Config) { c.TLSCert = "x" }, false},
		{func(c *Config) { c.TemplateKwargs = []string{"messages"} }, false},
	} {
		cfg := DefaultConfig()
		c.edit(&cfg)
		if err := cfg.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// TestFlags checks that every flag changes the configuration.
func TestFlags(t *testing.T) {
	cfg := DefaultConfig()
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	cfg.AddFlags(fs)
	before := fmt.Sprintf("%+v", cfg)
	fs.VisitAll(func(f *pflag.Flag) {
		value := map[string]string{"bool": "true", "int": "4242", "duration": "42s", "string": "x", "stringSlice": "x"}[f.Value.Type()]
		if err := fs.Set(f.Name, value); err != nil {
			t.Fatal(err)
		}
		after := fmt.Sprintf("%+v", cfg)
		if after == before {
			t.Errorf("--%s changes nothing", f.Name)
		}
		before = after
	})
}
