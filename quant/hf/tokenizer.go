package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/quant"
)

// Metadata keys of the tokenizer's own file, the chat template, and all ids that end
// a generation.
const (
	tokenizerKey = "tokenizer.huggingface.json"
	templateKey  = "tokenizer.chat_template"
	eosIDsKey    = "ingot.generation.eos_token_ids"
)

// special ties a role in tokenizer_config.json to GGUF's key of its id. A later row
// gives way to an earlier one of the same key: BERT's [CLS] stands for BOS, as in
// llama.cpp, and its [SEP] for EOS too.
var special = []struct{ role, key string }{
	{"cls", "bos"}, {"bos", "bos"}, {"sep", "seperator"}, {"eos", "eos"}, {"sep", "eos"},
	{"unk", "unknown"}, {"pad", "padding"}, {"mask", "mask"},
}

func idKey(name string) string { return "tokenizer.ggml." + name + "_token_id" }

// endOfTurn are the tokens that end a turn of chat in the templates in use.
var endOfTurn = []string{"<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|end_of_turn|>", "<|end_of_role|>", "<|return|>"}

// tokenizerFile is what we read of a tokenizer.json ourselves.
type tokenizerFile struct {
	AddedTokens []struct {
		ID      int32  `json:"id"`
		Content string `json:"content"`
	} `json:"added_tokens"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Model         struct {
		Vocab json.RawMessage `json:"vocab"`
	} `json:"model"`
}

// ReadTokenizer returns the metadata of the tokenizer in dir: of a model's directory, or of
// one with a tokenizer alone.
func ReadTokenizer(dir string) (*quant.Meta, error) {
	c, err := readOptional(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	m := &quant.Meta{}
	if err := readTokenizer(dir, c, m); err != nil {
		return nil, fmt.Errorf("cannot read the tokenizer in %q: %w", dir, err)
	}
	return m, c.err
}

// readTokenizer puts the directory's tokenizer into the metadata: tokenizer.json's
// text (or tokenizer.model's vocabulary), the template, special ids and flags.
func readTokenizer(dir string, c *config, m *quant.Meta) error {
	ids, t, err := readTokenizerFile(filepath.Join(dir, "tokenizer.json"), m)
	if err != nil {
		return err
	}
	if !m.Has(tokenizerKey) {
		if err := readSentencePiece(dir, m); err != nil {
			return err
		}
	}
	tc, err := readOptional(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil {
		return err
	}
	gen, err := readOptional(filepath.Join(dir, "generation_config.json"))
	if err != nil {
		return err
	}
	putSpecial(tc, c, ids, m)
	for _, text := range endOfTurn {
		if id, ok := ids[text]; ok && !m.Has(idKey("eot")) {
			m.Set(idKey("eot"), uint32(id))
		}
	}
	putAdds(tc, t, ids, m)
	if err := putTemplate(dir, tc, m); err != nil {
		return err
	}
	putGeneration(gen, c, m)
	return errors.Join(tc.err, gen.err)
}

// readTokenizerFile keeps a tokenizer.json's text and returns the ids of its added
// tokens. The file may be absent.
func readTokenizerFile(path string, m *quant.Meta) (map[string]int32, tokenizerFile, error) {
	var t tokenizerFile
	raw, err := readText(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, t, nil
	}
	if err != nil {
		return nil, t, err
	}
	if err := json.Unmarshal(raw, &t); err != nil || !utf8.Valid(raw) {
		return nil, t, fmt.Errorf("cannot read %q: it is no JSON in UTF-8 (%v)", path, err)
	}
	m.Set(tokenizerKey, string(raw))
	ids := map[string]int32{}
	for _, a := range t.AddedTokens {
		ids[a.Content] = a.ID
	}
	if len(ids) == 0 {
		// Old files have no added tokens; a missing or listed vocabulary gives no ids.
		_ = json.Unmarshal(t.Model.Vocab, &ids)
	}
	return ids, t, nil
}

// putSpecial sets the ids of the special tokens: by their text in
// tokenizer_config.json, else by their number in config.json.
func putSpecial(tc, c *config, ids map[string]int32, m *quant.Meta) {
	for _, s := range special {
		id, ok := ids[tokenText(tc, s.role+"_token")]
		if ok && !m.Has(idKey(s.key)) {
			m.Set(idKey(s.key), uint32(id))
		}
	}
	for _, s := range special {
		if from := c.ids(s.role + "_token_id"); len(from) > 0 && !m.Has(idKey(s.key)) {
			m.Set(idKey(s.key), uint32(from[0]))
		}
	}
}

// tokenText returns a special token's text, which is a string or an object with
// "content".
func tokenText(tc *config, field string) string {
	if o, ok := tc.fields[field].(map[string]any); ok {
		s, _ := o["content"].(string)
		return s
	}
	s, _ := tc.fields[field].(string)
	return s
}

// putAdds says whether encoding adds BOS and EOS: what tokenizer_config.json states,
// else what the post-processor does.
func putAdds(tc *config, t tokenizerFile, ids map[string]int32, m *quant.Meta) {
	if m.Has(tokenizerKey) {
		first, last := templateEnds(t.PostProcessor)
		for _, end := range []struct{ key, text, role string }{{"add_bos_token", first, "bos"}, {"add_eos_token", last, "eos"}} {
			id, ok := ids[end.text]
			adds := ok && m.Int(idKey(end.role), -1) == int(id)
			m.Set("tokenizer.ggml."+end.key, adds)
		}
	}
	for _, field := range []string{"add_bos_token", "add_eos_token"} {
		if tc.has(field) {
			m.Set("tokenizer.ggml."+field, tc.flag(field, false))
		}
	}
	if tc.has("add_prefix_space") {
		m.Set("tokenizer.ggml.add_space_prefix", tc.flag("add_prefix_space", false))
	}
}

// postProcessor is a tokenizer.json's post-processor; a Sequence holds others.
type postProcessor struct {
	Type       string          `json:"type"`
	Processors []postProcessor `json:"processors"`
	Single     []struct {
		SpecialToken *struct {
			ID string `json:"id"`
		} `json:"SpecialToken"`
	} `json:"single"`
	Cls []any `json:"cls"`
	Sep []any `json:"sep"`
}

// templateEnds returns the special tokens that a post-processor puts before and after
// a single text, "" for none.
func templateEnds(raw json.RawMessage) (first, last string) {
	var p postProcessor
	if json.Unmarshal(raw, &p) != nil {
		return "", ""
	}
	for _, q := range append(p.Processors, p) {
		if n := len(q.Single); n > 0 {
			if s := q.Single[0].SpecialToken; s != nil {
				first = s.ID
			}
			if s := q.Single[n-1].SpecialToken; s != nil {
				last = s.ID
			}
		}
		if len(q.Cls) > 0 && len(q.Sep) > 0 {
			first, _ = q.Cls[0].(string)
			last, _ = q.Sep[0].(string)
		}
	}
	return first, last
}

// putTemplate sets the chat template: chat_template.jinja, else tokenizer_config.json's,
// which is a text or a list of named ones, of which "default" counts.
func putTemplate(dir string, tc *config, m *quant.Meta) error {
	raw, err := readText(filepath.Join(dir, "chat_template.jinja"))
	if err == nil {
		m.Set(templateKey, string(raw))
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if s, ok := tc.fields["chat_template"].(string); ok {
		m.Set(templateKey, s)
		return nil
	}
	for _, v := range tc.list("chat_template") {
		named, _ := v.(map[string]any)
		name, _ := named["name"].(string)
		text, ok := named["template"].(string)
		if ok && name == "default" {
			m.Set(templateKey, text)
		} else if ok {
			m.Set(templateKey+"."+name, text)
		}
	}
	return nil
}

// samplingFields ties generation_config.json's defaults to GGUF's keys.
var samplingFields = []struct {
	field, key string
	whole      bool
}{
	{"temperature", "general.sampling.temp", false},
	{"top_p", "general.sampling.top_p", false},
	{"min_p", "general.sampling.min_p", false},
	{"top_k", "general.sampling.top_k", true},
	{"repetition_penalty", "general.sampling.penalty_repeat", false},
}

// putGeneration sets the ids that end a generation and the sampling defaults.
func putGeneration(gen, c *config, m *quant.Meta) {
	ids := gen.ids("eos_token_id")
	if len(ids) == 0 {
		ids = c.ids("eos_token_id")
	}
	if len(ids) > 0 && m.Bool(m.String("general.architecture", "")+".attention.causal", true) {
		m.Set(eosIDsKey, ids)
	}
	for _, s := range samplingFields {
		switch {
		case !gen.has(s.field):
		case s.whole:
			m.Set(s.key, int32(gen.count(s.field, 0)))
		default:
			m.Set(s.key, float32(gen.number(s.field, 0)))
		}
	}
}
