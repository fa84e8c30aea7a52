package server

import (
	"bytes"
	"net/url"
	"sort"
	"strings"

	"github.com/valyala/fasthttp"
)

// route is a row of the routes table.
type route struct {
	method string
	path   string // a trailing {id} matches the rest
	public bool   // needs no key
	page   bool   // of the chat page: a browser is asked for the key
	always bool   // answers while the server drains
	handle func(*Server, *fasthttp.RequestCtx)
	doc    string
}

// routes is every route there is. The router, the key check, openapi.yaml's test and the
// metrics' handler label read it.
var routes = []route{
	{method: "POST", path: "/v1/chat/completions", handle: (*Server).chat, doc: "Answer a conversation"},
	{method: "POST", path: "/v1/completions", handle: (*Server).complete, doc: "Continue a prompt"},
	{method: "POST", path: "/v1/embeddings", handle: (*Server).embed, doc: "Embed texts"},
	{method: "GET", path: "/v1/models", handle: (*Server).listModels, doc: "List the served model and its names"},
	{method: "GET", path: "/v1/models/{id}", handle: (*Server).getModel, doc: "Describe a model"},
	{method: "POST", path: "/tokenize", handle: (*Server).tokenize, doc: "Turn text or a conversation into tokens"},
	{method: "POST", path: "/detokenize", handle: (*Server).detokenize, doc: "Turn tokens into text"},
	{method: "POST", path: "/apply-template", handle: (*Server).applyTemplate, doc: "Render a conversation"},
	{method: "GET", path: "/livez", public: true, always: true, handle: (*Server).livez, doc: "Does the engine make progress?"},
	{method: "GET", path: "/readyz", public: true, always: true, handle: (*Server).readyz, doc: "Should this server get requests?"},
	{method: "GET", path: "/health", always: true, handle: (*Server).readyz, doc: "The same as /readyz, behind the key"},
	{method: "GET", path: "/version", always: true, handle: (*Server).version, doc: "The program's version"},
	{method: "GET", path: "/metrics", always: true, handle: (*Server).exposeMetrics, doc: "Prometheus metrics"},
	{method: "GET", path: "/", page: true, handle: (*Server).servePage, doc: "The chat page"},
	{method: "GET", path: "/page.css", page: true, handle: (*Server).servePage, doc: "The chat page's style"},
	{method: "GET", path: "/page.js", page: true, handle: (*Server).servePage, doc: "The chat page's program"},
	{method: "GET", path: "/icon.svg", page: true, handle: (*Server).servePage, doc: "The chat page's icon"},
}

// router finds routes by the raw path: no cleaning, no decoding, no case folding, so
// that there is one spelling of each.
type router struct {
	exact  map[string]map[string]*route // path, method
	prefix map[string]map[string]*route // path before {id}, method
}

func newRouter(table []route) *router {
	rt := &router{map[string]map[string]*route{}, map[string]map[string]*route{}}
	for i := range table {
		r := &table[i]
		index, path := rt.exact, r.path
		if head, _, ok := strings.Cut(path, "{"); ok {
			index, path = rt.prefix, head
		}
		if index[path] == nil {
			index[path] = map[string]*route{}
		}
		if index[path][r.method] != nil {
			panic("BUG: two routes for " + r.method + " " + r.path)
		}
		index[path][r.method] = r
	}
	return rt
}

// methods returns the routes at a raw path, nil if there is none.
func (rt *router) methods(path []byte) map[string]*route {
	if found := rt.exact[string(path)]; found != nil {
		return found
	}
	for head, found := range rt.prefix {
		if len(path) > len(head) && bytes.HasPrefix(path, []byte(head)) {
			return found
		}
	}
	return nil
}

// find returns the route of a request, or the 404 or 405.
func (rt *router) find(ctx *fasthttp.RequestCtx) (*route, *Error) {
	methods := rt.methods(rawPath(ctx))
	if methods == nil {
		return nil, &Error{Status: fasthttp.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url",
			Message: "there is no such address here: " + clip(rawPath(ctx))}
	}
	method := string(ctx.Method())
	if method == fasthttp.MethodHead {
		method = fasthttp.MethodGet
	}
	if r := methods[method]; r != nil {
		return r, nil
	}
	var allowed []string
	for m := range methods {
		allowed = append(allowed, m)
	}
	sort.Strings(allowed)
	ctx.Response.Header.Set(fasthttp.HeaderAllow, strings.Join(allowed, ", "))
	return nil, &Error{Status: fasthttp.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed",
		Message: "this address answers " + strings.Join(allowed, ", ") + " only"}
}

// rawPath returns the path as the client wrote it, without the query.
func rawPath(ctx *fasthttp.RequestCtx) []byte { return ctx.URI().PathOriginal() }

// pathID returns what {id} stands for, unescaped: model names may have slashes.
func pathID(ctx *fasthttp.RequestCtx, r string) string {
	head, _, _ := strings.Cut(r, "{")
	raw := strings.TrimPrefix(string(rawPath(ctx)), head)
	if id, err := url.PathUnescape(raw); err == nil {
		return id
	}
	return raw
}
