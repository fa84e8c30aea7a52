// Ingot: one program for the whole life of a language model. This file only wires the
// commands together.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/bench"
	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/settings"
	"github.com/ingot-llm/ingot/server"
	"github.com/ingot-llm/ingot/train"
	"github.com/ingot-llm/ingot/train/eval"
)

// version is set by the linker: -X main.version=v1.2.3.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := cli.Execute(ctx, root(), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "ingot:", err)
	}
	os.Exit(cli.ExitCode(err))
}

func root() *cobra.Command {
	cmd := cli.Group("ingot", "Serve, run, convert and measure language models",
		`Ingot runs language models on the processor: it serves them behind an
OpenAI-compatible API with a chat page, chats in the terminal, converts and
quantizes model files, and measures how fast this machine can be.`)
	cmd.Example = `  ingot serve --model model.gguf         # then open http://127.0.0.1:8080
  ingot run model.gguf "Why is the sky blue?"
  ingot help quantize`
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		return settings.Resolve(cmd.Flags(), os.LookupEnv, "") // a command with --config reads that itself
	}
	cmd.AddCommand(server.Command(version))
	cmd.AddCommand(cli.Commands()...)
	cmd.AddCommand(train.Commands()...)
	cmd.AddCommand(eval.Command())
	cmd.AddCommand(bench.Commands()...)
	cmd.AddCommand(versionCommand())
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  ingot version",
		Args:    cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "ingot", version)
			return err
		},
	}
}
