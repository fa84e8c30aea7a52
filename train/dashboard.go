package train

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/train/board"
)

func dashboardCommand() *cobra.Command {
	var listen string
	var public bool
	cmd := &cobra.Command{
		Use:   "dashboard RUN...",
		Short: "Show training runs in a browser, several side by side",
		Long: `Serves a page with the curves, samples and settings of runs, finished ones and such as
are going on; it follows their logs as they grow. RUN is the --out of a training run.
Several are drawn over each other; a click on a run's name takes it away.`,
		Example: "  ingot train dashboard run/ other/    # then open http://127.0.0.1:6006",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usagef("dashboard needs at least one run's folder: see %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := board.Listen("listen", listen, public, args...)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d runs at %s (Ctrl-C ends)\n", len(args), s.URL())
			return s.Serve(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:6006", "`address`")
	cmd.Flags().BoolVar(&public, "listen-public", false, "allow an address that other machines can reach: nobody is asked for a key")
	return cmd
}

// showRun serves the dashboard of the run, if it has one, until the function that it
// returns is called.
func (r *run) showRun() (stop func(), err error) {
	if r.dashboard == "" {
		return func() {}, nil
	}
	s, err := board.Listen("dashboard", r.dashboard, r.dashboardPublic, r.out)
	if err != nil {
		return nil, err
	}
	r.log.Info("dashboard", "url", s.URL())
	go func() {
		if err := s.Serve(context.Background()); err != nil {
			r.log.Warn("the dashboard has ended", "error", err)
		}
	}()
	return func() { _ = s.Close() }, nil // it was only watched
}
