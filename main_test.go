package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
)

func TestVersion(t *testing.T) {
	cmd := root()
	var out bytes.Buffer
	cmd.SetOut(&out)
	if err := cli.Execute(context.Background(), cmd, []string{"version"}); err != nil || out.String() != "ingot dev\n" {
		t.Errorf("version prints %q (%v)", out.String(), err)
	}
}

// TestHelpExamples: every command has a text and an example, and each example is a
// command line that its command understands.
func TestHelpExamples(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%s lacks its help or an example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			if _, call, found := strings.Cut(line, "ingot "); found {
				checkExample(t, call)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root())
}

// checkExample parses the flags and arguments of a command line as the shell would pass
// them.
func checkExample(t *testing.T, call string) {
	t.Helper()
	call, _, _ = strings.Cut(call, " #")
	call, _, _ = strings.Cut(call, " <")
	var args []string
	for i, part := range strings.Split(call, `"`) {
		if i%2 == 1 {
			args = append(args, part) // between quotes
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	cmd, rest, err := root().Find(args)
	if err != nil || cmd.Name() == "ingot" && args[0] != "help" {
		t.Errorf("example %q: no such command (%v)", call, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("example %q: %v", call, err)
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil && args[0] != "help" {
		t.Errorf("example %q: %v", call, err)
	}
}
