package main

import (
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// world is a client for each of the servers.
type world struct {
	chat, text, embed, busy, drain openai.Client
}

func newWorld() *world {
	return &world{chat: connect("CHAT"), text: connect("TEXT"), embed: connect("EMBED"), busy: connect("BUSY"), drain: connect("DRAIN")}
}

// connect returns a client of one server, by default without retries.
func connect(server string, more ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(env(server+"_URL") + "/v1"), option.WithAPIKey(env("KEY")), option.WithMaxRetries(0),
	}, more...)...)
}

func env(name string) string { return os.Getenv("INGOT_" + name) }

// greedy is the chat that most checks ask for.
func greedy() openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:       env("CHAT_MODEL"),
		Messages:    []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be brief."), openai.UserMessage("Tell me of the sea.")},
		Temperature: openai.Float(0),
		MaxTokens:   openai.Int(24),
	}
}

// tale is the completion that most checks ask for.
func tale() openai.CompletionNewParams {
	return openai.CompletionNewParams{
		Model:       openai.CompletionNewParamsModel(env("TEXT_MODEL")),
		Prompt:      openai.CompletionNewParamsPromptUnion{OfString: openai.String("Once upon a time")},
		Temperature: openai.Float(0),
		MaxTokens:   openai.Int(32),
	}
}

// flood is a completion of many tokens.
func flood() (openai.CompletionNewParams, option.RequestOption) {
	p := tale()
	p.N, p.Temperature, p.MaxTokens = openai.Int(16), openai.Float(1), openai.Int(480)
	return p, option.WithJSONSet("ignore_eos", true)
}

// usage asks a stream for its token counts.
func usage() openai.ChatCompletionStreamOptionsParam {
	return openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
}
