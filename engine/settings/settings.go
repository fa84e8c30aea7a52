// Package settings resolves what a command is told: a flag wins over an INGOT_*
// environment variable, that over the YAML file of --config, that over the default.
// One name serves all: --max-batch-tokens, INGOT_MAX_BATCH_TOKENS, max-batch-tokens.
package settings

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"
)

// Secret marks a flag (by pflag annotation) whose value String never shows.
const Secret = "ingot-secret"

// Resolve fills in every flag of fs that the command line left alone, from the
// environment (getenv) and then from the YAML file, which may be "". A key of the file
// that is no flag, and a value that a flag refuses, is an error naming both.
func Resolve(fs *pflag.FlagSet, getenv func(string) (string, bool), file string) error {
	values, err := readFile(file)
	if err != nil {
		return err
	}
	for key := range values {
		if fs.Lookup(key) == nil {
			return fmt.Errorf("%s: unknown setting %q (the flags' names are the settings' names; see --help)", file, key)
		}
	}
	var failed error
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Changed || failed != nil {
			return
		}
		failed = fill(fs, f, getenv, file, values)
	})
	return failed
}

// fill sets one flag from the first place that has it.
func fill(fs *pflag.FlagSet, f *pflag.Flag, getenv func(string) (string, bool), file string, values map[string]string) error {
	name := EnvName(f.Name)
	if v, ok := getenv(name); ok {
		if err := fs.Set(f.Name, v); err != nil {
			return fmt.Errorf("environment variable %s: %w", name, err)
		}
		return nil
	}
	if v, ok := values[f.Name]; ok {
		if err := fs.Set(f.Name, v); err != nil {
			return fmt.Errorf("%s: setting %s: %w", file, f.Name, err)
		}
	}
	return nil
}

// EnvName is the environment variable of a flag.
func EnvName(flag string) string {
	return "INGOT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// readFile reads a flat YAML mapping; lists become comma-separated values.
func readFile(file string) (map[string]string, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	var raw map[string]any
	if err := yaml.UnmarshalWithOptions(text, &raw, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	out := make(map[string]string, len(raw))
	for key, v := range raw {
		if out[key], err = scalar(v); err != nil {
			return nil, fmt.Errorf("%s: setting %s: %w", file, key, err)
		}
	}
	return out, nil
}

func scalar(v any) (string, error) {
	switch x := v.(type) {
	case []any:
		parts := make([]string, len(x))
		for i, e := range x {
			parts[i] = fmt.Sprint(e)
		}
		return strings.Join(parts, ","), nil
	case map[string]any:
		return "", fmt.Errorf("want a value or a list, not a mapping")
	case nil:
		return "", nil
	default:
		return fmt.Sprint(x), nil
	}
}

// String shows the resolved settings as name=value, sorted, secrets hidden; defaults
// are left out.
func String(fs *pflag.FlagSet) string {
	var parts []string
	fs.Visit(func(f *pflag.Flag) {
		value := f.Value.String()
		if _, secret := f.Annotations[Secret]; secret {
			value = "(hidden)"
		}
		parts = append(parts, f.Name+"="+value)
	})
	slices.Sort(parts)
	return strings.Join(parts, " ")
}
