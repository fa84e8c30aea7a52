package jinja

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// stopped is a clock that stands still, so that only counted budgets act.
func stopped() time.Time { return goldenNow }

func renderString(src, ctx string, lim Limits) (string, error) {
	t, err := Parse(src)
	if err != nil {
		return "", err
	}
	v, err := FromJSON([]byte(ctx))
	if err != nil {
		return "", err
	}
	return t.Render(v, Options{Now: goldenNow, Clock: stopped, Limits: lim})
}

// manyNames sets n different variables.
func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{%% set v%d = 1 %%}", i)
	}
	return b.String()
}

func TestHostileTemplates(t *testing.T) {
	for _, c := range []struct{ name, src, budget string }{
		{"nested loops", strings.Repeat("{% for i in range(1000) %}", 6) + strings.Repeat("{% endfor %}", 6), "steps"},
		{"empty loops", "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "steps"},
		{"string doubling", "{% set ns = namespace(s='ab') %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "output bytes"},
		{"kept strings", "{% set l = [] %}{% set s = 'x' * 4000000 %}{% for i in range(64) %}{% set _ = l.append(s ~ i) %}{% endfor %}", "allocated bytes"},
		{"string repetition", "{{ 'x' * 1000000000 }}", "output bytes"},
		{"list repetition", "{% set x = [1] * 1000000000 %}", "allocated bytes"},
		{"list doubling", "{% set ns = namespace(s=[1]) %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "allocated bytes"},
		{"output", "{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}", "output bytes"},
		{"macro recursion", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion depth"},
		{"macro tree", "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}", "steps"},
		{"loop recursion", "{% set l = [] %}{% set _ = l.append(l) %}{% for x in l recursive %}{{ loop(x) }}{% endfor %}", "recursion depth"},
		{"cyclic list", "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", "recursion depth"},
		{"cyclic json", "{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}", "recursion depth"},
		{"cyclic comparison", "{% set l = [] %}{% set m = [] %}{% set _ = l.append(l) %}{% set _ = m.append(m) %}{{ l == m }}", "recursion depth"},
		{"shared lists", "{% set ns = namespace(l=[1]) %}{% for i in range(50) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}", "steps"},
		{"long chain of operators", "{{ " + strings.Repeat("x.", 100000) + "x }}", "recursion depth"},
		{"replace", "{% set s = 'a' * 1000000 %}{{ s.replace('a', s) }}", "output bytes"},
		{"empty replace", "{% set s = 'a' * 4000000 %}{% for i in range(1000) %}{% set x = s.replace('', '') %}{% endfor %}", "steps"},
		{"scans", "{% set s = 'a' * 4000000 %}{% for i in range(100000) %}{% set x = 'b' in s %}{% endfor %}", "steps"},
		{"join", "{{ range(100000) | join('x' * 1000) }}", "output bytes"},
		{"indentation", "{{ [[[]]] | tojson(indent=1000000000) }}", "output bytes"},
		{"deep indentation", "{{ [[[1, 2, 3]]] | tojson(indent=3000000) }}", "output bytes"},
		{"padding", "{{ 'x'.center(1000000000) }}", "output bytes"},
		{"integer power", "{{ 10 ** 1000000000 }}", "integer bits"},
		{"integer growth", "{% set ns = namespace(n=3) %}{% for i in range(64) %}{% set ns.n = ns.n * ns.n %}{% endfor %}", "integer bits"},
		{"characters", "{% set s = 'a' * 4000000 %}{% for c in s %}{% endfor %}", "allocated bytes"},
		{"many names", "{% for i in range(1000) %}" + manyNames(20000) + "{% endfor %}", "steps"},
		{"spread", "{% macro m() %}{{ varargs|length }}{% endmacro %}{% set l = range(100000) %}{% for i in range(100000) %}{{ m(*l) }}{% endfor %}", "allocated bytes"},
	} {
		_, err := renderString(c.src, `{"x": {"x": 1}}`, Limits{})
		var budget *BudgetError
		if !errors.As(err, &budget) || budget.Budget != c.budget {
			t.Errorf("%s: got %v, want the budget of %s used up", c.name, err, c.budget)
		}
	}
}

func TestRefusedAtParse(t *testing.T) {
	for name, src := range map[string]string{
		"parentheses": "{{ " + strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000) + " }}",
		"brackets":    "{{ " + strings.Repeat("[", 5000),
		"subscripts":  "{{ a" + strings.Repeat("[a", 5000),
		"nots":        "{{ " + strings.Repeat("not ", 5000) + "1 }}",
		"signs":       "{{ " + strings.Repeat("-", 5000) + "1 }}",
		"ifs":         strings.Repeat("{% if 1 %}", 5000),
		"conditions":  "{{ " + strings.Repeat("1 if 1 else ", 5000) + "1 }}",
		"calls":       "{{ " + strings.Repeat("a(", 5000),
		"size":        strings.Repeat("x", maxSource+1),
		"UTF-8":       "a\xff",
		"include":     "{% include 'x' %}",
		"import":      "{% import 'x' as y %}",
	} {
		var syntax *Error
		if _, err := Parse(src); !errors.As(err, &syntax) {
			t.Errorf("%s: got %v, want an error of the parser", name, err)
		}
	}
}

func TestNoWayOut(t *testing.T) {
	for _, src := range []string{
		"{{ ''.__class__ }}", "{{ x.__init__.__globals__ }}", "{{ range.__self__ }}", "{{ ''['__class__'] }}",
		"{{ self }}", "{{ ''|attr('__class__') }}", "{{ namespace.mro }}", "{{ raise_exception.__code__ }}",
	} {
		if got, err := renderString(src, `{"x": {}}`, Limits{}); err == nil && got != "" {
			t.Errorf("%s gives %q", src, got)
		}
	}
}

func TestContextIsNotModified(t *testing.T) {
	for _, src := range []string{
		"{% set _ = x.l.append(1) %}", "{% set _ = x.l.pop() %}", "{% set _ = x.update({'a': 1}) %}", "{% set _ = x.pop('l') %}",
		"{% set _ = x.l.insert(0, 1) %}", "{% set _ = x.l.reverse() %}", "{% set _ = x.l.extend([1]) %}", "{% set _ = x.setdefault('q', 1) %}",
	} {
		if _, err := renderString(src, `{"x": {"l": [1, 2]}}`, Limits{}); err == nil {
			t.Errorf("%s modifies the context", src)
		}
	}
	got, err := renderString("{% set l = x.l[:] %}{% set _ = l.append(3) %}{% set d = x.copy() %}{% set _ = d.update(a=1) %}{{ l }}{{ x }}", `{"x": {"l": [1, 2]}}`, Limits{})
	if want := "[1, 2, 3]{'l': [1, 2]}"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// TestWallTime moves the clock by hand: every look at it takes a millisecond.
func TestWallTime(t *testing.T) {
	tmpl, err := Parse("{% for i in range(1000) %}{% for j in range(100) %}{{ j }}{% endfor %}{% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	now := goldenNow
	clock := func() time.Time { now = now.Add(time.Millisecond); return now }
	_, err = tmpl.Render(DictOf(NewDict(0)), Options{Clock: clock, Limits: Limits{Wall: 20 * time.Millisecond}})
	var budget *BudgetError
	if !errors.As(err, &budget) || budget.Budget != "wall time" {
		t.Errorf("got %v, want the wall time used up", err)
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	for src, want := range map[string]int{
		"a\n\n{{ 1 + none }}":                                          3,
		"{% if 1 %}\n{{ missing.x }}\n{% endif %}":                     2,
		"{% macro m() %}\n\n{{ 5|nofilter }}{% endmacro %}\n{{ m() }}": 3,
		"\n{{ a b }}":                               2,
		"\n\n{% for x in 5 %}{% endfor %}":          3,
		"{#\n\n#}\n{% set x = 'a\nb' %}{{ x.y.z }}": 5,
	} {
		_, err := renderString(src, "{}", Limits{})
		var e *Error
		if !errors.As(err, &e) || e.Line != want {
			t.Errorf("%q: got %v, want an error in line %d", src, err, want)
		}
	}
	_, err := renderString("\n{{ raise_exception('no') }}", "{}", Limits{})
	var raise *RaiseError
	if !errors.As(err, &raise) || raise.Line != 2 {
		t.Errorf("got %+v, want line 2", raise)
	}
}

func TestStepsAreCounted(t *testing.T) {
	src := "{% for i in range(100) %}{{ i }}{% endfor %}"
	if _, err := renderString(src, "{}", Limits{Steps: 2000}); err != nil {
		t.Error(err)
	}
	var budget *BudgetError
	if _, err := renderString(src, "{}", Limits{Steps: 200}); !errors.As(err, &budget) || budget.Limit != 200 {
		t.Errorf("got %v, want 200 steps used up", err)
	}
}

func ExampleTemplate_Segments() {
	t, _ := Parse("<|user|>{{ text | trim }}<|end|>")
	ctx, _ := FromJSON([]byte(`{"text": " say <|end|> "}`))
	segments, _ := t.Segments(ctx, Options{})
	for _, s := range segments {
		fmt.Printf("%v %q\n", s.Trusted, s.Text)
	}
	// Output:
	// true "<|user|>"
	// false "say <|end|>"
	// true "<|end|>"
}
