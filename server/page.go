package server

import (
	"embed"
	"fmt"
	"hash/fnv"

	"github.com/valyala/fasthttp"
)

// files is the chat page: no build step, no address but this server's.
//
//go:embed page
var files embed.FS

// asset is a file of the page.
type asset struct {
	contentType string
	data        []byte
	tag         string // ETag
}

// loadPage returns the page's files by their paths in the routes table.
func loadPage() map[string]asset {
	page := map[string]asset{}
	for _, f := range []struct{ path, file, contentType string }{
		{"/", "page/index.html", "text/html; charset=utf-8"},
		{"/page.css", "page/page.css", "text/css; charset=utf-8"},
		{"/page.js", "page/page.js", "text/javascript; charset=utf-8"},
		{"/icon.svg", "page/icon.svg", "image/svg+xml"},
	} {
		data, err := files.ReadFile(f.file)
		if err != nil {
			panic("BUG: the page is not embedded: " + err.Error())
		}
		h := fnv.New64a()
		h.Write(data)
		page[f.path] = asset{f.contentType, data, fmt.Sprintf(`"%x"`, h.Sum64())}
	}
	return page
}

// contentPolicy lets the page load and call this server only, and nobody frame it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// servePage answers the page's files.
func (s *Server) servePage(ctx *fasthttp.RequestCtx) {
	a := s.page[exchangeOf(ctx).route]
	h := &ctx.Response.Header
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.tag)
	if string(ctx.Request.Header.Peek("If-None-Match")) == a.tag {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	ctx.SetContentType(a.contentType)
	ctx.SetBody(a.data)
}
