package tokenizer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/quant"
)

// object is a JSON object under construction; its keys come out sorted.
type object = map[string]any

// TokenizerJSON is the way back from GGML: a tokenizer.json for a model's metadata. One
// that the metadata holds comes back as it is; else the arrays of tokenizer.ggml are
// written out so that Hugging Face's library gives the same ids.
func TokenizerJSON(meta *quant.Meta) ([]byte, error) {
	if text := meta.String(keyHF, ""); text != "" {
		return []byte(text), nil
	}
	if err := meta.Need(keyModel, keyTokens); err != nil {
		return nil, fmt.Errorf("cannot write a tokenizer.json: %w", err)
	}
	w := writer{ggmlBuilder: &ggmlBuilder{meta: meta}}
	doc, err := w.document()
	if err != nil {
		return nil, fmt.Errorf("cannot write a tokenizer.json: %w", err)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("cannot write a tokenizer.json: %w", err)
	}
	return out.Bytes(), nil
}

// writer makes the parts of a tokenizer.json from metadata.
type writer struct{ *ggmlBuilder }

func (w *writer) document() (object, error) {
	if err := w.readVocab(); err != nil {
		return nil, err
	}
	t, err := newGGML(w.meta) // also proves that the metadata is sound
	if err != nil {
		return nil, err
	}
	w.special, w.prefix, w.suffix = t.special, t.prefix, t.suffix
	doc := object{"version": "1.0", "truncation": nil, "padding": nil, "normalizer": nil, "pre_tokenizer": nil,
		"added_tokens": w.addedTokens(), "post_processor": w.template()}
	switch w.meta.String(keyModel, "") {
	case "gpt2":
		w.gpt2JSON(doc)
	case "llama":
		err = w.llamaJSON(doc)
	case "t5":
		w.t5JSON(doc)
	case "bert":
		w.bertJSON(doc)
	default:
		err = fmt.Errorf("%s %q has no form in tokenizer.json", keyModel, w.meta.String(keyModel, ""))
	}
	return doc, err
}

func (w *writer) addedTokens() []object {
	list := []object{}
	for i, k := range w.vocab.kind {
		if k == control || k == userDefined || k == unknown {
			list = append(list, object{"id": i, "content": w.vocab.text[i], "single_word": false, "lstrip": false, "rstrip": false,
				"normalized": false, "special": k != userDefined})
		}
	}
	return list
}

func (w *writer) template() object {
	specials := object{}
	items := func(ids []int32, pair int) (out []object) {
		for _, id := range ids {
			text := w.vocab.text[id]
			specials[text] = object{"id": text, "ids": []int32{id}, "tokens": []string{text}}
			out = append(out, object{"SpecialToken": object{"id": text, "type_id": pair}})
		}
		return out
	}
	seq := func(name string, pair int) []object {
		return []object{{"Sequence": object{"id": name, "type_id": pair}}}
	}
	single := slices.Concat(items(w.prefix, 0), seq("A", 0), items(w.suffix, 0))
	pair := slices.Concat(single, seq("B", 1), items(w.suffix, 1))
	return object{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": specials}
}

func (w *writer) vocabJSON() object {
	vocab := object{}
	for i, text := range w.vocab.text {
		if _, ok := vocab[text]; !ok {
			vocab[text] = i
		}
	}
	return vocab
}

func bpeJSON(vocab object, merges [][2]string) object {
	return object{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
		"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": merges}
}

func (w *writer) gpt2JSON(doc object) {
	p := pres[w.meta.String(keyPre, "default")]
	parts := []object{}
	for _, pattern := range p.patterns {
		parts = append(parts, object{"type": "Split", "pattern": object{"Regex": pattern}, "behavior": "Isolated", "invert": false})
	}
	level := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}
	doc["pre_tokenizer"] = object{"type": "Sequence", "pretokenizers": append(parts, level)}
	doc["decoder"] = level
	merges := [][2]string{}
	for _, line := range w.meta.Strings(keyMerges) {
		if m, err := parseMerge(line); err == nil { // newGGML has read them all
			merges = append(merges, [2]string{m.left, m.right})
		}
	}
	model := bpeJSON(w.vocabJSON(), merges)
	model["ignore_merges"] = p.ignoreMerges
	doc["model"] = model
}

func (w *writer) llamaJSON(doc object) error {
	scores, err := w.scores()
	if err != nil {
		return err
	}
	model := bpeJSON(w.vocabJSON(), w.mergesOf(scores))
	model["byte_fallback"], model["fuse_unk"] = true, true
	if w.special.unk >= 0 {
		model["unk_token"] = w.vocab.text[w.special.unk]
	}
	doc["model"] = model
	marks := []object{{"type": "Replace", "pattern": object{"String": " "}, "content": spaceMark}}
	steps := []object{{"type": "Replace", "pattern": object{"String": spaceMark}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}}
	if w.meta.Bool(keyAddSpace, true) {
		marks = slices.Insert(marks, 0, object{"type": "Prepend", "prepend": spaceMark})
		steps = append(steps, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	doc["normalizer"] = object{"type": "Sequence", "normalizers": marks}
	doc["decoder"] = object{"type": "Sequence", "decoders": steps}
	return nil
}

// mergesOf lists all ways to make a token of two others, best token first: what
// SentencePiece's scores mean.
func (w *writer) mergesOf(scores []float32) [][2]string {
	v := w.vocab
	usable := func(text string) bool {
		id := v.id(text)
		return id >= 0 && v.kind[id].inModel()
	}
	order := make([]int, v.len())
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	merges := [][2]string{}
	for _, id := range order {
		text := v.text[id]
		if !v.kind[id].inModel() || !utf8.ValidString(text) {
			continue
		}
		for at := range text {
			if at > 0 && usable(text[:at]) && usable(text[at:]) {
				merges = append(merges, [2]string{text[:at], text[at:]})
			}
		}
	}
	return merges
}

func (w *writer) t5JSON(doc object) {
	rows := make([][2]any, w.vocab.len())
	scores, _ := w.scores() // newGGML has read them
	for i, text := range w.vocab.text {
		rows[i] = [2]any{text, scores[i]}
	}
	doc["model"] = object{"type": "Unigram", "unk_id": w.special.unk, "byte_fallback": false, "vocab": rows}
	var ns []object
	if data := bytesIn(w.meta, keyCharsmap); len(data) > 0 {
		ns = append(ns, object{"type": "Precompiled", "precompiled_charsmap": base64.StdEncoding.EncodeToString(data)})
	}
	if w.meta.Bool(keySqueeze, false) {
		ns = append(ns, object{"type": "Strip", "strip_left": true, "strip_right": true},
			object{"type": "Replace", "pattern": object{"Regex": " {2,}"}, "content": " "})
	}
	doc["normalizer"] = object{"type": "Sequence", "normalizers": ns}
	scheme := "never"
	if w.meta.Bool(keyAddSpace, false) {
		scheme = "always"
	}
	meta := object{"type": "Metaspace", "replacement": spaceMark, "prepend_scheme": scheme, "split": true}
	doc["pre_tokenizer"], doc["decoder"] = meta, meta
}

func (w *writer) bertJSON(doc object) {
	vocab := object{}
	for i, text := range w.vocab.text {
		if w.vocab.kind[i].inModel() && w.vocab.kind[i] != userDefined && !bracketed(text) {
			if rest, ok := strings.CutPrefix(text, spaceMark); ok {
				text = rest
			} else {
				text = "##" + text
			}
		}
		if _, ok := vocab[text]; !ok {
			vocab[text] = i
		}
	}
	doc["model"] = object{"type": "WordPiece", "unk_token": w.vocab.text[w.special.unk], "continuing_subword_prefix": "##",
		"max_input_chars_per_word": 100, "vocab": vocab}
	lower := w.meta.Bool("tokenizer.ggml.normalizer.lowercase", true)
	doc["normalizer"] = object{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
		"strip_accents": w.meta.Bool("tokenizer.ggml.normalizer.strip_accents", lower), "lowercase": lower}
	doc["pre_tokenizer"] = object{"type": "BertPreTokenizer"}
	doc["decoder"] = object{"type": "WordPiece", "prefix": "##", "cleanup": true}
}
