package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func flags(args ...string) (*pflag.FlagSet, *string, *int) {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	listen := fs.String("listen", "default", "")
	seqs := fs.Int("max-seqs", 1, "")
	fs.String("api-key", "", "")
	fs.SetAnnotation("api-key", Secret, nil)
	if err := fs.Parse(args); err != nil {
		panic(err)
	}
	return fs, listen, seqs
}

func env(pairs ...string) func(string) (string, bool) {
	return func(key string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == key {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func writeFile(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "ingot.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOrder(t *testing.T) {
	file := writeFile(t, "listen: file\nmax-seqs: 7\n")
	check := func(args []string, env func(string) (string, bool), file, listen string, seqs int) {
		t.Helper()
		fs, l, s := flags(args...)
		if err := Resolve(fs, env, file); err != nil || *l != listen || *s != seqs {
			t.Errorf("%v %q: listen %q max-seqs %d (%v), want %q %d", args, file, *l, *s, err, listen, seqs)
		}
	}
	check(nil, env(), "", "default", 1)
	check(nil, env(), file, "file", 7)
	check(nil, env("INGOT_LISTEN", "env"), file, "env", 7)
	check([]string{"--listen=flag"}, env("INGOT_LISTEN", "env"), file, "flag", 7)
	check([]string{"--max-seqs=3"}, env("INGOT_MAX_SEQS", "x"), "", "default", 3)
}

func TestErrorsNameThings(t *testing.T) {
	check := func(env func(string) (string, bool), text string, want ...string) {
		t.Helper()
		fs, _, _ := flags()
		file := ""
		if text != "" {
			file = writeFile(t, text)
		}
		err := Resolve(fs, env, file)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%q: error %v does not name %q", text, err, w)
			}
		}
	}
	check(env("INGOT_MAX_SEQS", "many"), "", "INGOT_MAX_SEQS", "many")
	check(env(), "max-seqs: many", "max-seqs", "many")
	check(env(), "listem: x", "listem")
	check(env(), "listen: {a: b}", "listen", "mapping")
	check(env(), "listen: [", "ingot.yaml")
}

func TestSecretsAreHidden(t *testing.T) {
	fs, _, _ := flags("--api-key=sk-canary", "--listen=x")
	if got := String(fs); got != "api-key=(hidden) listen=x" {
		t.Errorf("settings show %q", got)
	}
}
