// Package bench measures speed: of a model's forward pass and of single kernels on this
// machine, against what its memory and arithmetic allow at most; of any server under
// load; and of two programs against one another. It also measures what speed costs in
// accuracy.
package bench

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/kernels"
)

// Commands returns the commands of this package, for the program's table.
func Commands() []*cobra.Command {
	group := cli.Group("bench", "Measure speed", "Measures speed. See also ingot doctor, which measures the machine alone.")
	group.Example = "  ingot bench model --shape smol-135m --type Q4_0 --batch 1,8"
	group.AddCommand(modelCommand(), trainCommand(), accuracyCommand(), limitsCommand(), kernelsCommand(), tokenizerCommand(), serveCommand(), reportCommand(), compareCommand())
	return []*cobra.Command{group, doctorCommand()}
}

// warnings logs to the command's standard error what went wrong, and no more.
func warnings(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// openTable opens a library of threads threads and its table of a name on the command
// line. The caller closes the library.
func openTable(cmd *cobra.Command, threads int, name string) (*kernels.Library, *kernels.Table, error) {
	lib := kernels.Open(threads, kernels.Options{})
	table, err := lib.Select(name, warnings(cmd))
	if err != nil {
		lib.Close()
		return nil, nil, cli.Usagef("--table: %w", err)
	}
	return lib, table, nil
}
