package server

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/valyala/fasthttp"
)

const openapiPath = "../openapi.yaml"

// generatedMark begins the part of openapi.yaml that is written from the table.
const generatedMark = "    # The rest is written from server/fields.go"

// bodies returns the request bodies in a fixed order.
func bodies() []Body {
	var all []Body
	for b := range bodyNames {
		all = append(all, b)
	}
	slices.Sort(all)
	return all
}

// TestFieldTable holds openapi.yaml's request schemas and FIELDS.md against the table of
// limits, which also is what the server checks.
func TestFieldTable(t *testing.T) {
	text, err := os.ReadFile(openapiPath)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(text), generatedMark)
	if !ok {
		t.Fatalf("%s has no line %q", openapiPath, generatedMark)
	}
	line := generatedMark + strings.SplitN(strings.TrimPrefix(string(text), head+generatedMark), "\n", 2)[0] + "\n"
	compareFile(t, openapiPath, head+line+requestSchemas())
	compareFile(t, "FIELDS.md", fieldsPage())
}

func compareFile(t *testing.T, path, want string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s is not what the table of limits says (%v): run go test ./server -run TestFieldTable -rewrite", filepath.Base(path), err)
	}
}

// requestSchemas writes a schema for each request body.
func requestSchemas() string {
	var out strings.Builder
	for _, b := range bodies() {
		fmt.Fprintf(&out, "    %s:\n      type: object\n", bodyNames[b])
		var required []string
		for _, f := range fields {
			if f.In&b != 0 && f.Required {
				required = append(required, f.Name)
			}
		}
		if len(required) > 0 {
			fmt.Fprintf(&out, "      required: [%s]\n", strings.Join(required, ", "))
		}
		out.WriteString("      properties:\n")
		for _, f := range fields {
			if f.In&b != 0 {
				fmt.Fprintf(&out, "        %s: %s\n", f.Name, fieldSchema(&f))
			}
		}
	}
	return out.String()
}

// fieldSchema writes a row as JSON Schema in YAML's flow style.
func fieldSchema(f *Field) string {
	parts := []string{kindSchema(f)}
	if f.Default != "" {
		parts = append(parts, "default: "+f.Default)
	}
	return "{" + strings.Join(append(parts, "description: "+strconv.Quote(describe(f))), ", ") + "}"
}

func kindSchema(f *Field) string {
	limits := func(unit string) string {
		return fmt.Sprintf("min%s: %s, max%s: %s", unit, formatLimit(f.Min), unit, formatLimit(f.Max))
	}
	const ids = "{type: array, items: {type: integer, minimum: 0}}"
	switch f.Kind {
	case Integer:
		return `type: [integer, "null"], ` + limits("imum")
	case Number:
		return `type: [number, "null"], ` + limits("imum")
	case Boolean:
		return `type: [boolean, "null"]`
	case String:
		if len(f.Enum) > 0 {
			return "enum: [" + strings.Join(f.Enum, ", ") + ", null]"
		}
		return `type: [string, "null"], ` + limits("Length")
	case Strings:
		return fmt.Sprintf(`oneOf: [{type: string, minLength: 1, maxLength: %d}, {type: array, %s, items: {type: string, minLength: 1, maxLength: %d}}, {type: "null"}]`, maxItemBytes, limits("Items"), maxItemBytes)
	case Tokens:
		return `type: [array, "null"], ` + limits("Items") + ", items: {type: integer, minimum: 0}"
	case Prompt:
		return fmt.Sprintf("oneOf: [{type: string}, {type: array, minItems: 1, maxItems: %d, items: {type: string}}, %s, {type: array, minItems: 1, maxItems: %d, items: %s}]", maxPrompts, ids, maxPrompts, ids)
	case Array:
		return `type: [array, "null"], ` + limits("Items") + ", items: {type: object}"
	case Object:
		return `type: [object, "null"], ` + limits("Properties")
	case BiasTable:
		return `type: [object, "null"], ` + limits("Properties") + ", additionalProperties: {type: number, minimum: -100, maximum: 100}"
	}
	return "enum: [" + strings.Join(append(slices.Clone(f.NoOp), "null"), ", ") + "]"
}

func describe(f *Field) string {
	switch f.Use {
	case Refused:
		return "Not supported. " + f.Doc
	case Ignored:
		return "Accepted. " + f.Doc
	}
	return f.Doc
}

// fieldsPage writes the table for people.
func fieldsPage() string {
	var out strings.Builder
	out.WriteString("# Request fields\n\nWritten from `fields.go` by `go test ./server -run TestFieldTable -rewrite`; the server checks requests by the same table.\n")
	for _, b := range bodies() {
		fmt.Fprintf(&out, "\n## %s\n\n| field | type and limits | default | |\n|---|---|---|---|\n", bodyNames[b])
		for _, f := range fields {
			if f.In&b != 0 {
				kind := strings.ReplaceAll(kindSchema(&f), "|", `\|`)
				if f.Required {
					kind += ", required"
				}
				fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", f.Name, kind, f.Default, describe(&f))
			}
		}
	}
	return out.String()
}

// loadOpenAPI parses openapi.yaml.
func loadOpenAPI(t testing.TB) map[string]any {
	text, err := os.ReadFile(openapiPath)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.UnmarshalWithOptions(text, &doc, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestRoutesAndOpenAPI walks the routes table and openapi.yaml both ways.
func TestRoutesAndOpenAPI(t *testing.T) {
	doc := loadOpenAPI(t)
	described := map[string]map[string]any{}
	for path, item := range doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			described[strings.ToUpper(method)+" "+path] = op.(map[string]any)
		}
	}
	for _, r := range routes {
		op := described[r.method+" "+r.path]
		delete(described, r.method+" "+r.path)
		if op == nil {
			t.Errorf("openapi.yaml lacks %s %s", r.method, r.path)
			continue
		}
		if op["summary"] != r.doc {
			t.Errorf("%s %s: the summary is %q, the table says %q", r.method, r.path, op["summary"], r.doc)
		}
		if _, open := op["security"]; open != r.public {
			t.Errorf("%s %s: security in openapi.yaml and public in the table disagree", r.method, r.path)
		}
	}
	for name := range described {
		t.Errorf("openapi.yaml has %s, the routes table has not", name)
	}
}

// TestReferences finds references of openapi.yaml that lead nowhere, and schemas that
// nothing leads to.
func TestReferences(t *testing.T) {
	doc := loadOpenAPI(t)
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				used[ref] = true
				var at any = doc
				for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
					m, _ := at.(map[string]any)
					at = m[part]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(doc)
	for name := range doc["components"].(map[string]any)["schemas"].(map[string]any) {
		if !used["#/components/schemas/"+name] {
			t.Errorf("nothing uses the schema %s", name)
		}
	}
}

// TestEveryRouteAnswers sends each described operation without a body: whatever is
// missing, the answer is a documented one.
func TestEveryRouteAnswers(t *testing.T) {
	h := start(t, newFake(), nil)
	doc := loadOpenAPI(t)
	var paths []string
	for path := range doc["paths"].(map[string]any) {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	for _, path := range paths {
		for method := range doc["paths"].(map[string]any)[path].(map[string]any) {
			a := h.do(strings.ToUpper(method), strings.ReplaceAll(path, "{id}", "fake"), "")
			want := fasthttp.StatusOK
			if method == "post" {
				want = fasthttp.StatusBadRequest
			}
			if a.status != want {
				t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
			}
		}
	}
}
