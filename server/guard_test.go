package server

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
)

// TestHosts is the table of Host headers, for a server on loopback and one that is not.
func TestHosts(t *testing.T) {
	loopback := start(t, newFake(), func(c *Config, _ *Model) { c.AllowedHosts = []string{"Chat.Example.org"} })
	public := start(t, newFake(), func(c *Config, _ *Model) { c.Listen = "0.0.0.0:80"; c.APIKeys = []string{keyAnn} })
	for host, ok := range map[string]bool{
		"localhost": true, "LOCALHOST:8080": true, "127.0.0.1": true, "127.0.0.1:9": true, "[::1]:8080": true, "[::1]": true, "chat.example.org": true, "chat.example.org:443": true,
		"evil.example": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "example.org": false, "localhost@evil.example": false, "0.0.0.0": false, "localhost.": false,
	} {
		a := loopback.do("GET", "/v1/models", "", "Host", host)
		if (a.status == 200) != ok {
			t.Errorf("Host %q: %d", host, a.status)
		}
		if a := public.do("GET", "/v1/models", "", "Host", host, "Authorization", "Bearer "+keyAnn); a.status != 200 {
			t.Errorf("not on loopback, Host %q: %d", host, a.status)
		}
	}
}

// TestTargetNamesHost sends targets in absolute form: their host counts, not the header's.
func TestTargetNamesHost(t *testing.T) {
	h := start(t, newFake(), nil)
	for _, c := range []struct{ target, host, want string }{
		{"http://localhost:8080/v1/models", "localhost", "200"},
		{"http://localhost/v1/models", "evil.example", "200"},
		{"http://[::1]:80/v1/models", "evil.example", "200"},
		{"http://evil.example/v1/models", "localhost", "403"},
		{"HTTP://evil.example:80/v1/models", "localhost", "403"},
		{"http://localhost@evil.example/v1/models", "localhost", "403"},
		{"/v1/models?x=http://localhost/", "evil.example", "403"},
	} {
		conn, err := h.dial()
		if err != nil {
			t.Fatal(err)
		}
		go fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", c.target, c.host)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if !strings.HasPrefix(line, "HTTP/1.1 "+c.want) {
			t.Errorf("target %s, Host %s: %q %v, want %s", c.target, c.host, line, err, c.want)
		}
		conn.Close()
	}
}

// TestOrigins is the table of Origin headers.
func TestOrigins(t *testing.T) {
	h := start(t, newFake(), func(c *Config, _ *Model) { c.AllowedOrigins = []string{"https://ok.example"} })
	const body = `{"prompt":"a"}`
	for origin, want := range map[string]struct {
		status int
		cors   string
	}{
		"": {200, ""}, "http://localhost": {200, ""}, "https://ok.example": {200, "https://ok.example"},
		"null": {403, ""}, "http://evil.example": {403, ""}, "http://ok.example": {403, ""}, "https://ok.example.evil.example": {403, ""}, "http://localhost:99": {403, ""}, "http://localhost.evil.example": {403, ""},
	} {
		a := h.do("POST", "/v1/completions", body, "Origin", origin)
		if a.status != want.status || a.header["Access-Control-Allow-Origin"] != want.cors {
			t.Errorf("Origin %q: %d, allowed %q", origin, a.status, a.header["Access-Control-Allow-Origin"])
		}
		a = h.do("OPTIONS", "/v1/completions", "", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
		if pre := a.status == 204; pre != (want.cors != "") {
			t.Errorf("preflight of %q: %d", origin, a.status)
		}
	}
}

func TestPageHeaders(t *testing.T) {
	h := start(t, newFake(), nil)
	for _, path := range []string{"/", "/page.css", "/page.js", "/icon.svg"} {
		a := h.do("GET", path, "")
		if a.status != 200 || len(a.body) < 100 || !strings.Contains(a.header["Content-Security-Policy"], "default-src 'none'") || a.header["X-Content-Type-Options"] != "nosniff" {
			t.Errorf("%s: %d, %d bytes, %v", path, a.status, len(a.body), a.header)
		}
		if again := h.do("GET", path, "", "If-None-Match", a.header["Etag"]); again.status != 304 {
			t.Errorf("%s with its ETag: %d", path, again.status)
		}
		if head := h.do("HEAD", path, ""); head.status != 200 || head.body != "" {
			t.Errorf("HEAD %s: %d, %d bytes", path, head.status, len(head.body))
		}
		for _, outside := range []string{"http://", "https://", "//cdn", "innerHTML", "insertAdjacentHTML", "document.write", "eval("} {
			if strings.Contains(strings.ReplaceAll(a.body, "http://www.w3.org/2000/svg", ""), outside) {
				t.Errorf("%s has %q", path, outside)
			}
		}
	}
}
