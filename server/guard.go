package server

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/valyala/fasthttp"
)

// checkHost refuses names that are not ours. A web page can point its own name at
// 127.0.0.1 (DNS rebinding) and then read a server that trusts its machine.
func (s *Server) checkHost(ctx *fasthttp.RequestCtx) *Error {
	if len(s.hosts) == 0 {
		return nil
	}
	host := cli.HostOnly(askedHost(ctx))
	if slices.Contains(s.hosts, host) {
		return nil
	}
	return &Error{Status: fasthttp.StatusForbidden, Type: "invalid_request_error", Code: "host_not_allowed",
		Message: "the request names a server that this one is not: add it with --allowed-host if it is meant"}
}

// askedHost returns the host that a request is for, with its port: the target's if that is
// an absolute address, which overrules the Host header (RFC 9112, section 3.2.2).
func askedHost(ctx *fasthttp.RequestCtx) string {
	if bytes.HasPrefix(ctx.RequestURI(), []byte("/")) {
		return string(ctx.Request.Header.Host())
	}
	return string(ctx.URI().Host())
}

// allowedHosts returns the accepted Host names, none for any.
func allowedHosts(cfg *Config) []string {
	var hosts []string
	if loopback, _ := cli.IsLoopback(cfg.Listen); loopback {
		hosts = cli.LoopbackHosts(cfg.Listen)
	}
	for _, h := range cfg.AllowedHosts {
		hosts = append(hosts, cli.HostOnly(h))
	}
	return hosts
}

// checkOrigin refuses calls of other sites' pages, which a browser would send for them,
// and lets configured ones read the answer (CORS).
func (s *Server) checkOrigin(ctx *fasthttp.RequestCtx) *Error {
	origin := string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
	if origin == "" || s.sameOrigin(ctx, origin) {
		return nil
	}
	any := slices.Contains(s.cfg.AllowedOrigins, "*")
	if !any && !slices.Contains(s.cfg.AllowedOrigins, origin) {
		if ctx.IsGet() || ctx.IsHead() {
			return nil // harmless: without CORS headers the page cannot read it
		}
		return &Error{Status: fasthttp.StatusForbidden, Type: "invalid_request_error", Code: "origin_not_allowed",
			Message: "pages of this origin may not call the server: add it with --allowed-origin if they should"}
	}
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderAccessControlAllowOrigin, origin)
	h.Add(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
	h.Set(fasthttp.HeaderAccessControlExposeHeaders, "X-Request-Id, X-Ingot-Warning, Retry-After")
	return nil
}

func (s *Server) sameOrigin(ctx *fasthttp.RequestCtx, origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, askedHost(ctx))
}

// preflight answers a browser's question whether a page may call; checkOrigin has said
// whether it may.
func preflight(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Response.Header
	if !ctx.IsOptions() || len(ctx.Request.Header.Peek(fasthttp.HeaderAccessControlRequestMethod)) == 0 ||
		len(h.Peek(fasthttp.HeaderAccessControlAllowOrigin)) == 0 {
		return false
	}
	h.Set(fasthttp.HeaderAccessControlAllowMethods, "GET, POST")
	h.Set(fasthttp.HeaderAccessControlAllowHeaders, string(ctx.Request.Header.Peek(fasthttp.HeaderAccessControlRequestHeaders)))
	h.Set(fasthttp.HeaderAccessControlMaxAge, "600")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return true
}
