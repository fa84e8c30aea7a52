package server

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"github.com/valyala/fasthttp"
)

// apiKey is an accepted key: its name, which is the fairness class and stands in the
// log, and its SHA-256. The key itself is not kept.
type apiKey struct {
	name string
	sum  [sha256.Size]byte
}

// keyring holds the accepted keys; an empty one accepts everybody.
type keyring []apiKey

// loadKeys gathers the keys of the configuration and its file.
func loadKeys(cfg *Config) (keyring, error) {
	var ring keyring
	lines := append([]string(nil), cfg.APIKeys...)
	if cfg.APIKeyFile != "" {
		fromFile, err := readKeyFile(cfg.APIKeyFile)
		if err != nil {
			return nil, err
		}
		lines = append(lines, fromFile...)
	}
	for i, line := range lines {
		key, err := parseKey(line, i)
		if err != nil {
			return nil, err
		}
		ring = append(ring, key)
	}
	return ring, nil
}

func readKeyFile(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the API keys: %w", err)
	}
	var lines []string
	for sc := bufio.NewScanner(bytes.NewReader(data)); sc.Scan(); {
		if line := strings.TrimSpace(sc.Text()); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%q has no API key: write one key or name:key on each line", path)
	}
	return lines, nil
}

// parseKey reads "key" or "name:key". Errors do not show the key.
func parseKey(line string, index int) (apiKey, error) {
	name, key, named := strings.Cut(strings.TrimSpace(line), ":")
	if !named {
		name, key = fmt.Sprintf("key%d", index+1), name
	}
	if len(key) < 8 || name == "" || strings.ContainsAny(key, " \t") {
		return apiKey{}, fmt.Errorf("API key %d is not \"key\" or \"name:key\" with a key of at least 8 characters", index+1)
	}
	return apiKey{name, sha256.Sum256([]byte(key))}, nil
}

// find returns the name of a presented key. It compares with every key, so that the
// time tells nothing.
func (r keyring) find(key []byte) (name string, ok bool) {
	sum := sha256.Sum256(key)
	for i := range r {
		if subtle.ConstantTimeCompare(sum[:], r[i].sum[:]) == 1 {
			name, ok = r[i].name, true
		}
	}
	return name, ok
}

// credentials returns the key of a request: Bearer, as OpenAI's clients send it, or
// Basic with the key as password, as a browser sends it that was asked for the page.
func credentials(ctx *fasthttp.RequestCtx) []byte {
	header := ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)
	scheme, rest, _ := bytes.Cut(header, []byte(" "))
	switch {
	case bytes.EqualFold(scheme, []byte("Bearer")):
		return bytes.TrimSpace(rest)
	case bytes.EqualFold(scheme, []byte("Basic")):
		plain, err := base64.StdEncoding.DecodeString(string(rest))
		if err != nil {
			return nil
		}
		_, password, _ := bytes.Cut(plain, []byte(":"))
		return password
	}
	return nil
}

// authenticate returns the name of the caller's key, "" if no keys are configured.
func (s *Server) authenticate(ctx *fasthttp.RequestCtx, r *route) (string, *Error) {
	if len(s.keys) == 0 || r != nil && r.public {
		return "", nil
	}
	if name, ok := s.keys.find(credentials(ctx)); ok {
		return name, nil
	}
	// A browser asks its user for the password only where a page is opened; the
	// page's own calls must not make it ask.
	challenge := `Bearer realm="ingot"`
	if r != nil && r.page {
		challenge = `Basic realm="ingot: the API key is the password", charset="UTF-8"`
	}
	ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, challenge)
	return "", &Error{Status: fasthttp.StatusUnauthorized, Type: "authentication_error", Code: "invalid_api_key",
		Message: "the API key is missing or wrong: send it as \"Authorization: Bearer KEY\""}
}
