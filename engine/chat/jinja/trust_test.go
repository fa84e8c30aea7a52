package jinja

import (
	"strings"
	"testing"
)

// TestTrust renders templates over x = "u<>u" from the context and shows the text with
// untrusted parts in braces.
func TestTrust(t *testing.T) {
	ctx, err := FromJSON([]byte(`{"x": "u<>u", "l": ["u", "v"], "d": {"k": "u"}, "n": 5, "m": " Uu ", "lines": "u\nv"}`))
	if err != nil {
		t.Fatal(err)
	}
	for src, want := range map[string]string{
		"a{{ x }}b":                                              "a{u<>u}b",
		"{{ 'a' + x + 'b' }}":                                    "a{u<>u}b",
		"{{ 'a' ~ x ~ 1 }}":                                      "a{u<>u}1",
		"{{ ('a' ~ x ~ 'b')[1:4] }}":                             "{u<>}",
		"{{ ('a' ~ x ~ 'b')[::-1] }}":                            "b{u><u}a",
		"{{ ('a' ~ x ~ 'b')[3] }}":                               "{>}",
		"{{ ('  a' ~ m ~ 'b  ') | trim }}":                       "a{ Uu }b",
		"{{ m | trim }}":                                         "{Uu}",
		"{{ ('a' ~ x) | upper }}":                                "A{U<>U}",
		"{{ x | replace('<>', 'T') }}":                           "{u}T{u}",
		"{{ 'aTb' | replace('T', x) }}":                          "a{u<>u}b",
		"{{ 'a,' ~ l[0] }}":                                      "a,{u}",
		"{{ ('a,' ~ x ~ ',b').split(',') | join('-') }}":         "a-{u<>u}-b",
		"{{ l | join(', ') }}":                                   "{u}, {v}",
		"{{ ['a', 'b'] | join(x) }}":                             "a{u<>u}b",
		"{{ d | tojson }}":                                       `{{"k": "u"}}`,
		"{{ {'a': 1} | tojson }}":                                `{"a": 1}`,
		"{{ l }}":                                                "{['u', 'v']}",
		"{{ ['a'] }}":                                            "['a']",
		"{{ n }}{{ n + 1 }}{{ l | length }}":                     "562",
		"{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}": "{k}={u}",
		"{% for c in 'a' ~ l[0] %}{{ c }}{% endfor %}":           "a{u}",
		"{% set y %}a{{ x }}{% endset %}[{{ y }}]":               "[a{u<>u}]",
		"{% macro f(q) %}<{{ q }}>{% endmacro %}{{ f(x) }}":      "<{u<>u}>",
		"{% filter upper %}a{{ l[0] }}{% endfilter %}":           "A{U}",
		"{{ '%s=%s' % ('a', x) }}":                               "a={u<>u}",
		"{{ x % () }}":                                           "{u<>u}",
		"{{ '{}b'.format(x) }}":                                  "{u<>u}b",
		"{{ x | e }}":                                            "{u&lt;&gt;u}",
		"{{ 'a' ~ lines | indent(2) }}":                          "a{u\n}  {v}",
		"{{ x * 2 }}":                                            "{u<>uu<>u}",
		"{{ l[0].center(3, '.') }}":                              ".{u}.",
		"{{ '[1]' | from_json }}":                                "[1]",
		"{{ '[\"a\"]' | from_json | first }}":                    "{a}",
		"{{ strftime_now('%Y') }}":                               "2025",
		"{{ x | default('a') }}{{ q | default('a') }}":           "{u<>u}a",
		"{{ x | string | safe | truncate(3, true, '!', 0) }}":    "{u<}!",
		"{{ '<a>' | safe ~ x }}":                                 "<a>{u<>u}",
		"{{ x.partition('<')[2] }}":                              "{>u}",
		"{{ ('é' ~ x) | upper }}":                                "{ÉU<>U}",
	} {
		tmpl, err := Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		segments, err := tmpl.Segments(ctx, Options{Now: goldenNow})
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		var got strings.Builder
		for _, s := range segments {
			if s.Trusted {
				got.WriteString(s.Text)
			} else {
				got.WriteString("{" + s.Text + "}")
			}
		}
		if got.String() != want {
			t.Errorf("%s: got %s, want %s", src, got.String(), want)
		}
	}
}
