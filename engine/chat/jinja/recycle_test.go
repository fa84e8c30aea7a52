package jinja

import (
	"strings"
	"testing"
)

// TestRecycled: a rendering gives the same after others that failed inside of captures,
// scopes and calls, or that were large.
func TestRecycled(t *testing.T) {
	parse := func(src string) *Template {
		tmpl, err := Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		return tmpl
	}
	ctx, err := FromJSON([]byte(`{"xs":["a","b"],"big":"` + strings.Repeat("y", 3*keepBytes) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	good := parse(`{% macro m(a, b='z') %}{{ a }}-{{ b }}{% endmacro %}{% for x in xs %}{% set y %}<{{ m(x) }}>{% endset %}{{ loop.index ~ y | upper }}{% endfor %}{{ absent }}`)
	others := []*Template{
		parse(`{% macro m(a) %}{% set absent = a %}{{ raise_exception(a) }}{% endmacro %}{% for x in xs %}{% set y %}left{{ m(x + 'over') }}{% endset %}{% endfor %}`),
		parse(`{% set absent = 1 %}{% for x in xs %}{{ big ~ x }}{% set c %}{{ big }}{% endset %}{{ c }}{% endfor %}`),
	}
	const want = "1<A-Z>2<B-Z>"
	for i := range 20 {
		if got, err := good.Render(ctx, Options{}); err != nil || got != want {
			t.Fatalf("round %d gives %q, %v, want %q", i, got, err, want)
		}
		if _, err := others[i%2].Render(ctx, Options{}); (err != nil) != (i%2 == 0) {
			t.Fatalf("round %d: %v", i, err)
		}
	}
}

// TestRecycleForgets: what is kept refers to no value of the rendering and is bounded.
func TestRecycleForgets(t *testing.T) {
	secret := Text("secret")
	r := &render{globals: []Value{secret}, stack: []Value{secret, secret}[:1], args: []*args{{pos: []Value{secret}}}}
	r.spare = []*text{{b: make([]byte, keepBytes+1)}, {b: make([]byte, 8)}}
	r.free = []*scope{{parent: &scope{}, ids: []int{1}, vals: []Value{secret}}}
	for range 2 * keepItems {
		r.free = append(r.free, &scope{})
	}
	r.recycle()
	if len(r.spare) != 1 || len(r.spare[0].b) != 8 || len(r.free) != keepItems {
		t.Errorf("%d texts and %d scopes are kept", len(r.spare), len(r.free))
	}
	values := append(r.globals[:1:1], r.stack[:2]...)
	values = append(append(values, r.free[0].vals[:1]...), r.args[0].pos...)
	for i, v := range values {
		if v.s != "" {
			t.Errorf("value %d is kept: %q", i, v.s)
		}
	}
	if r.free[0].parent != nil || len(values) != 4 {
		t.Errorf("a scope keeps its parent, or values are lost: %d", len(values))
	}
}
