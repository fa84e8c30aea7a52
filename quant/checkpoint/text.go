package checkpoint

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Text writes the description for people: a summary, and with all the metadata and
// the tensors too.
func (i Info) Text(w io.Writer, all bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range i.summary() {
		fmt.Fprintf(t, "%s\t%s\n", line[0], line[1])
	}
	fmt.Fprintln(t, "\ntype\ttensors\tparameters\tbytes")
	for _, s := range i.Types {
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\n", s.Type, s.Tensors, s.Parameters, size(s.Bytes))
	}
	if all {
		i.details(t)
	}
	return t.Flush()
}

// summary returns names and values of what the model has.
func (i Info) summary() [][2]string {
	lines := [][2]string{
		{"format", i.Format}, {"architecture", i.Architecture}, {"name", i.Name},
		{"parameters", count(i.Parameters)}, {"size", size(i.Bytes)},
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"context", i.Context}, {"width", i.Embedding}, {"layers", i.Layers}, {"vocabulary", i.Vocabulary}} {
		if n.value > 0 {
			lines = append(lines, [2]string{n.name, fmt.Sprint(n.value)})
		}
	}
	if i.Heads > 0 {
		lines = append(lines, [2]string{"heads", fmt.Sprintf("%d, key-value %d", i.Heads, i.KVHeads)})
	}
	if i.Experts > 0 {
		lines = append(lines, [2]string{"experts", fmt.Sprintf("%d of %d", i.ExpertsUsed, i.Experts)})
	}
	tokenizer := i.Tokenizer
	if tokenizer == "" {
		tokenizer = "none"
	}
	template := "none"
	if i.ChatTemplate {
		template = "yes"
	}
	return append(lines, [2]string{"tokenizer", tokenizer}, [2]string{"chat template", template})
}

func (i Info) details(w io.Writer) {
	fmt.Fprintln(w, "\nkey\ttype\tvalue")
	for _, e := range i.Metadata {
		fmt.Fprintf(w, "%s\t%s\t%s\n", e.Key, e.Type, e.text())
	}
	fmt.Fprintln(w, "\ntensor\ttype\tshape\tbytes")
	for _, t := range i.Tensors {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", t.Name, t.Type, strings.Trim(fmt.Sprint(t.Shape), "[]"), t.Bytes)
	}
}

// text renders a value on one line; what a file says can not move the cursor of a
// terminal.
func (e Entry) text() string {
	var s string
	switch v := e.Value.(type) {
	case string:
		s = fmt.Sprintf("%q", v)
	case []any:
		words := make([]string, len(v))
		for i, x := range v {
			words[i] = fmt.Sprint(x)
			if _, ok := x.(string); ok {
				words[i] = fmt.Sprintf("%q", x)
			}
		}
		s = "[" + strings.Join(words, " ") + "]"
		if e.Length == len(v) {
			return s
		}
	default:
		return fmt.Sprint(v)
	}
	if e.Length > 0 {
		s += fmt.Sprintf(" ... (%d)", e.Length)
	}
	return s
}

// count renders a number of parameters: "1.24 B (1235814400)".
func count(n int) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"B", 1e9}, {"M", 1e6}, {"K", 1e3}} {
		if float64(n) >= u.size {
			return fmt.Sprintf("%.3g %s (%d)", float64(n)/u.size, u.name, n)
		}
	}
	return fmt.Sprint(n)
}

// size renders bytes in binary units.
func size(n int) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if float64(n) >= u.size {
			return fmt.Sprintf("%.2f %s", float64(n)/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
