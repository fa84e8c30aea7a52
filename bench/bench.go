// Package bench measures speed: of a model's forward pass and of single kernels on this
// machine, against what its memory and arithmetic allow at most; of any server under
// load; and of two programs against one another. It also measures what speed costs in
// accuracy.
package bench

import (
	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
)

// Commands returns the commands of this package, for the program's table.
func Commands() []*cobra.Command {
	group := cli.Group("bench", "Measure speed", "Measures speed. See also ingot doctor, which measures the machine alone.")
	group.Example = "  ingot bench model --shape smol-135m --type Q4_0 --batch 1,8"
	group.AddCommand(modelCommand(), accuracyCommand(), limitsCommand(), kernelsCommand(), tokenizerCommand(), serveCommand(), reportCommand(), compareCommand())
	return []*cobra.Command{group, doctorCommand()}
}
