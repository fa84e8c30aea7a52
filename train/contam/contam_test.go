package contam

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/train/words"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFind(t *testing.T) {
	const said = "One two three four five six seven eight nine ten eleven twelve"
	x, err := Open([]string{
		write(t, "deep.jsonl", `{"question":"Short?","choices":["No.",{"text":"`+said+` thirteen."}]}`+"\n"+`{"answer":"`+said+`"}`+"\n"),
		write(t, "plain.txt", "a b c d e f g h i j k l m n o"),
		write(t, "flat.csv", "question,answer\nZ Y X W V U T S R Q P O N M,yes\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if all, short := x.Rows(); all != 4 || short != 1 {
		t.Errorf("%d rows, %d short", all, short)
	}
	for text, want := range map[string]string{
		"He said: " + strings.ToUpper(said) + " - THIRTEEN; no more.": "deep.jsonl: " + strings.ToUpper(said) + " - THIRTEEN;",
		said + " fourteen":               ": " + "One",
		"0 c d, e f g h i j k l m n o p": "plain.txt: c d, e f g h i j k l m n o",
		"Y X W V U T S R Q P O N M":      "flat.csv: Y X W V U T S R Q P O N M",
		"no letters: ?!":                 ": no",
	} {
		w := words.Split(nil, text)
		name, from, to := x.Find(w)
		if got := name + ": " + text[w[from].From:w[to].To]; got != want {
			t.Errorf("%q: found %q, want %q", text, got, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for text, want := range map[string]string{"{}\nno json\n": "line 2: no JSON", `{"a":"b"}`: "has 13 words"} {
		if _, err := Open([]string{write(t, "a.jsonl", text)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
