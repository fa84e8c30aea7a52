package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/bench/report"
	"github.com/ingot-llm/ingot/engine/cli"
)

func reportCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "report FILE...",
		Short: "Make one page of load tests, several side by side",
		Long: `Reads what ingot bench serve wrote with --out or --json, one file or several, and
writes one HTML page with tables and charts that needs nothing from outside. A file's
name is its runs' name in the page.`,
		Example: "  ingot bench report ingot.jsonl llama-cpp.jsonl -o report.html",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usagef("report needs at least one file: see %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var files []report.File
			for _, path := range args {
				f, err := readRuns(path)
				if err != nil {
					return err
				}
				files = append(files, f)
			}
			return writeReport(out, files)
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "report.html", "`file` to write")
	return cmd
}

func readRuns(path string) (f report.File, err error) {
	file, err := os.Open(path)
	if err != nil {
		return f, err
	}
	defer file.Close()
	f.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if f.Runs, err = report.Read(file); err != nil {
		return f, fmt.Errorf("cannot read %q: %w", path, err)
	}
	return f, nil
}

func writeReport(path string, files []report.File) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := report.Write(file, files); err != nil {
		file.Close()
		return fmt.Errorf("cannot write %q: %w", path, err)
	}
	return file.Close()
}
