package jinja

import (
	"errors"
	"strings"
	"testing"
)

// FuzzRender parses and renders anything under tiny budgets. It may fail, with one of the
// documented errors, but not panic; and segments must add up to the text.
func FuzzRender(f *testing.F) {
	for _, s := range []string{
		"{% for m in ms %}{{ m.role ~ loop.index }}{% endfor %}", "{{ x | tojson(indent=2) }}", "{% macro m(a, b=1) %}{{ a }}{% endmacro %}{{ m(x) }}",
		"{% set ns = namespace(a=1) %}{% set ns.a = ns.a + 1 %}{{ ns.a }}", "{{ '%5.2f|%s' % (1.5, x) }}", "{{ x[1:-1:2] }}{{ x.split('b')|join('-') }}",
		"{% raw %}{{ }}{% endraw %}{# c #}", "{{ [1, 2.5, none]|map('string')|list }}", "{% call(a) m() %}{% endcall %}", "{{ 10 ** 30 // 7 % 3 }}",
		"{{ x.center(9, '*').rsplit(none, 2) }}", "{% filter upper %}a{% endfilter %}", "{{ {'a': (1,)}|dictsort }}", "{{ '{0!r}'.format(x) }}",
		"{{ strftime_now('%d %b') }}", "{{ ms|selectattr('role', 'eq', 'user')|list|length }}", "{{ 'a\\u00e9\\n' }}",
	} {
		f.Add(s)
	}
	ctx, err := FromJSON([]byte(`{"x": "abcébc ", "n": 3, "ms": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": null}]}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src string) {
		tmpl, err := Parse(src)
		if err != nil {
			return
		}
		opts := Options{Now: goldenNow, Clock: stopped, Limits: Limits{Steps: 2000, Output: 1 << 14, Alloc: 1 << 18, Depth: 8}}
		text, err := tmpl.Render(ctx, opts)
		var failure *Error
		var raise *RaiseError
		var budget *BudgetError
		if err != nil && !errors.As(err, &failure) && !errors.As(err, &raise) && !errors.As(err, &budget) {
			t.Fatalf("undocumented error %T", err)
		}
		segments, err2 := tmpl.Segments(ctx, opts)
		var b strings.Builder
		for _, s := range segments {
			b.WriteString(s.Text)
		}
		if (err == nil) != (err2 == nil) || b.String() != text {
			t.Fatalf("text %q, %v; segments %q, %v", text, err, b.String(), err2)
		}
	})
}
