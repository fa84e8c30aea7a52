package server

import "math"

// Body is a set of the request bodies that have a field.
type Body uint8

const (
	BodyChat Body = 1 << iota
	BodyCompletion
	BodyEmbedding
	BodyTokenize
	BodyDetokenize
	BodyTemplate

	bodyGenerate = BodyChat | BodyCompletion
	bodyRender   = BodyChat | BodyTokenize | BodyTemplate
)

// bodyNames gives the schema's name in openapi.yaml.
var bodyNames = map[Body]string{
	BodyChat:       "ChatCompletionRequest",
	BodyCompletion: "CompletionRequest",
	BodyEmbedding:  "EmbeddingRequest",
	BodyTokenize:   "TokenizeRequest",
	BodyDetokenize: "DetokenizeRequest",
	BodyTemplate:   "ApplyTemplateRequest",
}

// Kind is a field's JSON type. Min and Max of a field bound the value of a number, the
// bytes of a string, the items of an array and the members of an object.
type Kind uint8

const (
	Integer   Kind = iota
	Number         // any JSON number
	Boolean        //
	String         //
	Strings        // a string or an array of strings; each has at most 1024 bytes
	Tokens         // an array of token ids
	Prompt         // a string, an array of strings, of token ids, or of arrays of them
	Array          // of objects
	Object         //
	BiasTable      // an object of token ids and numbers from -100 to 100
	Anything       // checked by nobody, because only no-operation values pass
)

// Use says what the server does with a field.
type Use uint8

const (
	Used    Use = iota
	Ignored     // accepted: it cannot change an answer here
	Refused     // known, not supported: only null and the values in NoOp pass
)

// Field is a row of the table of limits. Null stands for absence everywhere.
type Field struct {
	Name     string
	In       Body
	Kind     Kind
	Min, Max float64
	Default  string   // as JSON; "" if absence means absence
	Enum     []string // the strings that are allowed
	Required bool
	Use      Use
	NoOp     []string // compact JSON
	Doc      string
	standard []byte // Default
}

// Limits of the table that code needs by name.
const (
	maxStops     = 16
	maxChoices   = 16
	maxPrompts   = 1024
	maxMessages  = 4096
	maxTools     = 128
	maxBias      = 300
	maxLogprobs  = 20
	maxString    = 1 << 22 // the whole body is bounded before
	maxTokenList = 1 << 20
	maxInt32     = math.MaxInt32
	maxPriority  = 1 << 20
)

// fields is the table of limits: it drives validation, the request schemas of
// openapi.yaml and FIELDS.md.
var fields = []Field{
	{Name: "model", In: BodyChat | BodyCompletion | BodyEmbedding | BodyTokenize | BodyDetokenize | BodyTemplate, Kind: String, Min: 1, Max: 512, Doc: "A name of the served model, as GET /v1/models lists it. Absent: that model."},
	{Name: "messages", In: BodyChat | BodyTemplate, Kind: Array, Min: 1, Max: maxMessages, Required: true, Doc: "The conversation: objects with role system, developer, user, assistant or tool, and content, a string or an array of text parts."},
	{Name: "messages", In: BodyTokenize, Kind: Array, Min: 1, Max: maxMessages, Doc: "A conversation, rendered by the chat template; instead of prompt."},
	{Name: "prompt", In: BodyCompletion, Kind: Prompt, Min: 0, Max: maxPrompts, Required: true, Doc: "A string, an array of strings, an array of token ids, or an array of arrays of token ids."},
	{Name: "input", In: BodyEmbedding, Kind: Prompt, Min: 0, Max: maxPrompts, Required: true, Doc: "What to embed: a string, an array of strings, an array of token ids, or an array of arrays of token ids."},
	{Name: "prompt", In: BodyTokenize, Kind: String, Min: 0, Max: maxString, Doc: "The text. One of prompt, content and messages must be given."},
	{Name: "content", In: BodyTokenize, Kind: String, Min: 0, Max: maxString, Doc: "Another name of prompt, as llama-server has it."},
	{Name: "add_special_tokens", In: BodyTokenize, Kind: Boolean, Default: "true", Doc: "Add what the model expects around a prompt, BOS for instance. Must not be true with messages: the template writes its own."},
	{Name: "return_token_strs", In: BodyTokenize, Kind: Boolean, Default: "false", Doc: "Also return the text of each token."},
	{Name: "tokens", In: BodyDetokenize, Kind: Tokens, Min: 0, Max: maxTokenList, Required: true, Doc: "The token ids."},

	// Length and choice.
	{Name: "max_tokens", In: BodyCompletion, Kind: Integer, Min: 0, Max: maxInt32, Default: "16", Doc: "How many tokens to generate at most. 0 with echo only scores the prompt."},
	{Name: "max_tokens", In: BodyChat, Kind: Integer, Min: 1, Max: maxInt32, Doc: "How many tokens to generate at most. Absent: what the context still holds."},
	{Name: "max_completion_tokens", In: BodyChat, Kind: Integer, Min: 1, Max: maxInt32, Doc: "The newer name of max_tokens."},
	{Name: "min_tokens", In: bodyGenerate, Kind: Integer, Min: 0, Max: maxInt32, Default: "0", Doc: "No end of generation before so many tokens. At most max_tokens."},
	{Name: "ignore_eos", In: bodyGenerate, Kind: Boolean, Default: "false", Doc: "Go on after an end-of-generation token."},
	{Name: "n", In: bodyGenerate, Kind: Integer, Min: 1, Max: maxChoices, Default: "1", Doc: "How many answers to give."},
	{Name: "stop", In: bodyGenerate, Kind: Strings, Min: 0, Max: maxStops, Doc: "Generation ends before the first of these strings."},
	{Name: "stop_token_ids", In: bodyGenerate, Kind: Tokens, Min: 0, Max: 64, Doc: "Generation ends at the first of these tokens."},
	{Name: "stream", In: bodyGenerate, Kind: Boolean, Default: "false", Doc: "Send the answer as server-sent events while it is made."},
	{Name: "stream_options", In: bodyGenerate, Kind: Object, Min: 0, Max: 8, Doc: "With stream: include_usage sends one more chunk with the token counts; include_obfuscation pads the chunks so that their lengths tell nothing."},
	{Name: "echo", In: BodyCompletion, Kind: Boolean, Default: "false", Doc: "Put the prompt before the answer, with its log-probabilities if logprobs is given."},

	// Sampling. Where a default is absent from a request, the model's
	// generation_config wins over the default of the table.
	{Name: "temperature", In: bodyGenerate, Kind: Number, Min: 0, Max: 2, Default: "1", Doc: "Divides the logits; 0 takes the most likely token. Absent: the model's own default, else 1."},
	{Name: "top_p", In: bodyGenerate, Kind: Number, Min: 0, Max: 1, Default: "1", Doc: "Keep the smallest set of tokens with this much probability. Absent: the model's own default, else 1."},
	{Name: "top_k", In: bodyGenerate, Kind: Integer, Min: -1, Max: maxInt32, Default: "0", Doc: "Keep the k most likely tokens; 0 and -1 keep all. Absent: the model's own default, else 0."},
	{Name: "min_p", In: bodyGenerate, Kind: Number, Min: 0, Max: 1, Default: "0", Doc: "Drop tokens less likely than this share of the most likely one."},
	{Name: "typical_p", In: bodyGenerate, Kind: Number, Min: 0, Max: 1, Default: "1", Doc: "Locally typical sampling: keep this much probability of the tokens nearest to the expected surprise."},
	{Name: "repetition_penalty", In: bodyGenerate, Kind: Number, Min: 0.01, Max: 10, Default: "1", Doc: "Divides positive and multiplies negative logits of tokens seen in prompt or answer. Absent: the model's own default, else 1."},
	{Name: "presence_penalty", In: bodyGenerate, Kind: Number, Min: -2, Max: 2, Default: "0", Doc: "Subtracted from the logit of each token that the answer has."},
	{Name: "frequency_penalty", In: bodyGenerate, Kind: Number, Min: -2, Max: 2, Default: "0", Doc: "Subtracted from the logit of a token for each time that the answer has it."},
	{Name: "logit_bias", In: bodyGenerate, Kind: BiasTable, Min: 0, Max: maxBias, Doc: "Token ids and what to add to their logits, -100 to 100."},
	{Name: "seed", In: bodyGenerate, Kind: Integer, Min: math.MinInt64, Max: math.MaxInt64, Doc: "The same seed and request give the same answer, whatever else the server does."},

	// What the answer shows.
	{Name: "logprobs", In: BodyChat, Kind: Boolean, Default: "false", Doc: "Return the log-probability of each token of the answer."},
	{Name: "top_logprobs", In: BodyChat, Kind: Integer, Min: 0, Max: maxLogprobs, Doc: "How many alternatives to return for each token; needs logprobs."},
	{Name: "logprobs", In: BodyCompletion, Kind: Integer, Min: 0, Max: maxLogprobs, Doc: "Return the log-probability of each token and of so many alternatives."},
	{Name: "return_token_ids", In: bodyGenerate, Kind: Boolean, Default: "false", Doc: "Also return the token ids of prompt and answer."},

	// Tools and template.
	{Name: "tools", In: bodyRender, Kind: Array, Min: 0, Max: maxTools, Doc: "The functions that the model may call, handed to the chat template as they are."},
	{Name: "tool_choice", In: BodyChat, Kind: String, Min: 0, Max: 64, Enum: []string{"auto", "none"}, Doc: "auto lets the model decide; none hides the tools from it. required and a named function are not supported."},
	{Name: "parallel_tool_calls", In: BodyChat, Kind: Boolean, Default: "true", Doc: "Without tools any value; with tools only true, because the number of calls is not constrained."},
	{Name: "chat_template_kwargs", In: bodyRender, Kind: Object, Min: 0, Max: 32, Doc: "Variables for the chat template; the server's operator allows them by name."},
	{Name: "reasoning_effort", In: BodyChat, Kind: String, Min: 1, Max: 16, Enum: []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}, Doc: "Given to a chat template that knows it; refused where the template does not."},
	{Name: "add_generation_prompt", In: bodyRender, Kind: Boolean, Default: "true", Doc: "End the prompt with the opening of an answer."},
	{Name: "continue_final_message", In: bodyRender, Kind: Boolean, Default: "false", Doc: "Leave the last message open, to be continued; needs add_generation_prompt false."},

	// Scheduling.
	{Name: "priority", In: bodyGenerate, Kind: Integer, Min: -maxPriority, Max: maxPriority, Default: "0", Doc: "Lower is sooner."},
	{Name: "cache_salt", In: bodyGenerate, Kind: String, Min: 1, Max: 128, Doc: "Requests share cached prefixes only with those of the same salt and API key."},

	// Embeddings.
	{Name: "encoding_format", In: BodyEmbedding, Kind: String, Min: 0, Max: 16, Enum: []string{"float", "base64"}, Default: `"float"`, Doc: "base64: little-endian float32."},
	{Name: "dimensions", In: BodyEmbedding, Kind: Integer, Min: 1, Max: maxInt32, Doc: "Must be the model's own number of dimensions."},

	// Fields that cannot change an answer here.
	{Name: "user", In: bodyGenerate | BodyEmbedding, Kind: String, Min: 0, Max: 512, Use: Ignored, Doc: "No effect."},
	{Name: "metadata", In: bodyGenerate, Kind: Object, Min: 0, Max: 64, Use: Ignored, Doc: "No effect: answers are not stored."},
	{Name: "safety_identifier", In: bodyGenerate, Kind: String, Min: 0, Max: 512, Use: Ignored, Doc: "No effect."},
	{Name: "prompt_cache_key", In: bodyGenerate, Kind: String, Min: 0, Max: 512, Use: Ignored, Doc: "No effect: prefixes are found by their content."},
	{Name: "prompt_cache_retention", In: bodyGenerate, Kind: String, Min: 0, Max: 32, Use: Ignored, Doc: "No effect: cached prefixes live until their memory is needed."},
	{Name: "prompt_cache_options", In: bodyGenerate, Kind: Object, Min: 0, Max: 16, Use: Ignored, Doc: "No effect."},
	{Name: "service_tier", In: bodyGenerate, Kind: String, Min: 1, Max: 32, Enum: []string{"auto", "default"}, Use: Ignored, Doc: "There is one tier; see priority."},

	// Known, not supported.
	{Name: "store", In: BodyChat, Kind: Anything, Use: Refused, NoOp: []string{"false"}, Doc: "Answers are not stored."},
	{Name: "response_format", In: bodyGenerate, Kind: Anything, Use: Refused, NoOp: []string{`{"type":"text"}`}, Doc: "Constrained output is not supported yet."},
	{Name: "functions", In: BodyChat, Kind: Anything, Use: Refused, NoOp: []string{"[]"}, Doc: "Use tools."},
	{Name: "function_call", In: BodyChat, Kind: Anything, Use: Refused, NoOp: []string{`"none"`, `"auto"`}, Doc: "Use tool_choice."},
	{Name: "audio", In: BodyChat, Kind: Anything, Use: Refused, Doc: "The answer is text."},
	{Name: "modalities", In: BodyChat, Kind: Anything, Use: Refused, NoOp: []string{`["text"]`, "[]"}, Doc: "The answer is text."},
	{Name: "web_search_options", In: BodyChat, Kind: Anything, Use: Refused, Doc: "The server fetches nothing."},
	{Name: "prediction", In: BodyChat, Kind: Anything, Use: Refused, Doc: "Predicted output is not supported."},
	{Name: "verbosity", In: BodyChat, Kind: Anything, Use: Refused, NoOp: []string{`"medium"`}, Doc: "Not supported."},
	{Name: "moderation", In: BodyChat, Kind: Anything, Use: Refused, Doc: "Not supported."},
	{Name: "documents", In: BodyChat, Kind: Anything, Use: Refused, NoOp: []string{"[]"}, Doc: "Not supported."},
	{Name: "chat_template", In: bodyRender, Kind: Anything, Use: Refused, Doc: "The template is the model's: a template is a program, and requests bring none."},
	{Name: "thinking_token_budget", In: BodyChat, Kind: Anything, Use: Refused, Doc: "Not supported."},
	{Name: "mm_processor_kwargs", In: bodyRender, Kind: Anything, Use: Refused, NoOp: []string{"{}"}, Doc: "The model reads text."},
	{Name: "best_of", In: BodyCompletion, Kind: Anything, Use: Refused, NoOp: []string{"0", "1"}, Doc: "Ask for n answers instead."},
	{Name: "suffix", In: BodyCompletion, Kind: Anything, Use: Refused, NoOp: []string{`""`}, Doc: "Infilling is not supported."},
	{Name: "prompt_logprobs", In: bodyGenerate, Kind: Anything, Use: Refused, Doc: "Use echo and logprobs of /v1/completions."},
	{Name: "use_beam_search", In: bodyGenerate, Kind: Anything, Use: Refused, NoOp: []string{"false"}, Doc: "Not supported."},
	{Name: "length_penalty", In: bodyGenerate, Kind: Anything, Use: Refused, NoOp: []string{"1", "1.0"}, Doc: "Part of beam search."},
	{Name: "bad_words", In: bodyGenerate, Kind: Anything, Use: Refused, NoOp: []string{"[]"}, Doc: "Use logit_bias."},
	{Name: "allowed_token_ids", In: bodyGenerate, Kind: Anything, Use: Refused, Doc: "Use logit_bias."},
	{Name: "include_stop_str_in_output", In: bodyGenerate, Kind: Anything, Use: Refused, NoOp: []string{"false"}, Doc: "Not supported."},
	{Name: "skip_special_tokens", In: bodyGenerate, Kind: Anything, Use: Refused, NoOp: []string{"true"}, Doc: "Control tokens give no text."},
	{Name: "spaces_between_special_tokens", In: bodyGenerate, Kind: Anything, Use: Refused, NoOp: []string{"true", "false"}, Doc: "Control tokens give no text."},
	{Name: "truncate_prompt_tokens", In: bodyGenerate | BodyEmbedding, Kind: Anything, Use: Refused, Doc: "Shorten the prompt instead."},
	{Name: "add_special_tokens", In: BodyChat, Kind: Anything, Use: Refused, NoOp: []string{"false"}, Doc: "The chat template writes its own."},
	{Name: "add_special_tokens", In: BodyCompletion, Kind: Anything, Use: Refused, NoOp: []string{"true"}, Doc: "Give token ids to leave them out."},
	{Name: "echo", In: BodyChat, Kind: Anything, Use: Refused, NoOp: []string{"false"}, Doc: "Only /v1/completions echoes."},
	{Name: "structured_outputs", In: bodyGenerate, Kind: Anything, Use: Refused, Doc: "Constrained output is not supported yet."},
	{Name: "guided_json", In: bodyGenerate, Kind: Anything, Use: Refused, Doc: "Constrained output is not supported yet."},
	{Name: "guided_regex", In: bodyGenerate, Kind: Anything, Use: Refused, Doc: "Constrained output is not supported yet."},
	{Name: "guided_choice", In: bodyGenerate, Kind: Anything, Use: Refused, Doc: "Constrained output is not supported yet."},
	{Name: "guided_grammar", In: bodyGenerate, Kind: Anything, Use: Refused, Doc: "Constrained output is not supported yet."},
	{Name: "json_schema", In: bodyGenerate, Kind: Anything, Use: Refused, NoOp: []string{"{}"}, Doc: "Constrained output is not supported yet."},
	{Name: "grammar", In: bodyGenerate, Kind: Anything, Use: Refused, NoOp: []string{`""`}, Doc: "Constrained output is not supported yet."},
}

// lookup returns the row of a field in a body.
func lookup(in Body, name string) (*Field, bool) {
	f, ok := fieldIndex[in][name]
	return f, ok
}

// fieldIndex finds rows by a body and a name.
var fieldIndex = indexFields()

func indexFields() map[Body]map[string]*Field {
	index := make(map[Body]map[string]*Field)
	for in := range bodyNames {
		index[in] = make(map[string]*Field)
	}
	for i := range fields {
		f := &fields[i]
		f.standard = []byte(f.Default)
		for in, rows := range index {
			if f.In&in == 0 {
				continue
			}
			if rows[f.Name] != nil {
				panic("BUG: two rows for the field " + f.Name)
			}
			rows[f.Name] = f
		}
	}
	return index
}
