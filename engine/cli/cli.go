// Package cli is the command line: the commands that need no server, and what all
// commands share (usage errors, progress, the exit status).
//
// A command is one file: an options struct, its flags, and a function that does the work
// on the command's own streams, so that tests run it without a process.
package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Commands returns the commands of this package, for the program's table.
func Commands() []*cobra.Command {
	return []*cobra.Command{
		runCommand(), convertCommand(), quantizeCommand(), infoCommand(), tokenizeCommand(), renderCommand(),
	}
}

// UsageError is a command line that cannot be understood, as opposed to work that
// failed. The exit status tells them apart.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

func (e *UsageError) Unwrap() error { return e.Err }

// Usagef returns a UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{fmt.Errorf(format, args...)}
}

// ExitCode is the exit status for what Execute returned: 0, 2 for a UsageError, else 1.
func ExitCode(err error) int {
	var usage *UsageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return 2
	}
	return 1
}

// Execute runs the command line args, without the program's name, under root, until ctx
// ends. The error has not been printed.
func Execute(ctx context.Context, root *cobra.Command, args []string) error {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return Usagef("%w: see %s --help", err, cmd.CommandPath())
	})
	root.SetHelpCommand(helpCommand())
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}

// helpCommand is "ingot help COMMAND", to which an unknown command is an error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show the help of a command",
		Example: "  ingot help convert",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil {
				return &UsageError{err}
			}
			if len(rest) > 0 {
				return Usagef("there is no command %q to explain%s", strings.Join(args, " "), suggestion(about, rest[0]))
			}
			about.InitDefaultHelpFlag() // so that it lists --help, too
			return about.Help()
		},
	}
}

// Group returns a command that only holds others: alone it prints its help, and an
// unknown subcommand is a UsageError that names what was probably meant.
func Group(use, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long,
		SuggestionsMinimumDistance: 2,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return Usagef("unknown command %q for %s%s", args[0], cmd.CommandPath(), suggestion(cmd, args[0]))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

func suggestion(cmd *cobra.Command, name string) string {
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Sprintf(": see %s --help", cmd.CommandPath())
}

// Args demands the positional arguments of these names; a name in brackets, such as
// "[prompt]", may be left out. Anything else is a UsageError.
func Args(names ...string) cobra.PositionalArgs {
	need := 0
	for _, name := range names {
		if !strings.HasPrefix(name, "[") {
			need++
		}
	}
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < need:
			return Usagef("%s needs %s: see %s --help", cmd.Name(), strings.Join(names[len(args):], " "), cmd.CommandPath())
		case len(args) > len(names):
			return Usagef("%s takes no argument %q: see %s --help", cmd.Name(), args[len(names)], cmd.CommandPath())
		}
		return nil
	}
}
