package cli

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/chat"
)

func renderCommand() *cobra.Command {
	var file, now string
	cmd := &cobra.Command{
		Use:   "render --template FILE",
		Short: "Render a chat template",
		Long: `Reads the template's context from stdin, one JSON object with messages, bos_token
and whatever else the template uses, and prints exactly the text that it makes. Where
the template refuses the context, its message is the error.`,
		Example: `  echo '{"messages":[{"role":"user","content":"Hi"}],"bos_token":"<s>","eos_token":"</s>",
         "add_generation_prompt":true}' | ingot render --template chat_template.jinja`,
		Args: Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return Usagef("render needs --template FILE")
			}
			at, err := parseTime(now)
			if err != nil {
				return err
			}
			template, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("cannot read the template: %w", err)
			}
			return chat.RunRender(cmd.InOrStdin(), cmd.OutOrStdout(), string(template), at)
		},
	}
	cmd.Flags().StringVar(&file, "template", "", "`file` with the Jinja template")
	cmd.Flags().StringVar(&now, "now", "", "`time` that the template sees, such as 2025-01-15T12:00:00 (default: now)")
	return cmd
}

// parseTime reads a time in one of the ISO 8601 forms, without a zone as UTC; "" is now.
func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Now(), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, Usagef("--now is %q, want a time such as 2025-01-15T12:00:00", s)
}
