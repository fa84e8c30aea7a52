module github.com/ingot-llm/ingot/server/testdata/clients/go

go 1.26.8

require github.com/openai/openai-go/v3 v3.96.0
