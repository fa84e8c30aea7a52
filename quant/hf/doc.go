// Package hf presents a Hugging Face model directory (config.json, safetensors,
// tokenizer files) as a quant.Source in GGUF's vocabulary, and plans such a directory
// from a Source.
//
// What ties the two vocabularies is data: a family is a table of facts (fields of
// config.json and metadata keys) and of rules (tensor names and the change of layout
// between them), read in both directions. Adding a family is a row of families and a
// list of rules. A field that would change the logits and is not understood is refused
// by name, and so is a tensor that no rule knows.
//
// Tensors that lie in the files as GGUF has them are handed out as they lie, but for
// one thing: the rows of Q and K of the llama, smollm3 and granite architectures stay
// in Hugging Face's order, and LayoutKey says so. A GGUF file has them permuted to
// interleaved pairs; package convert does that. All others are made by a recipe when
// they are first asked for.
//
// Keys and names are those that llama.cpp's converter writes. What GGUF has no key for
// has one of ours:
//
//	ingot.rope.layout              "half": see LayoutKey; never in a GGUF file
//	ingot.activation               the feed-forward's activation, by its name in config.json
//	ingot.attention.window         int32 [layers]: each layer's sliding window, 0 = none
//	ingot.rope.skip                int32 [layers]: 1 = no rotary embedding (SmolLM3)
//	ingot.rope.yarn_truncate       bool: YaRN's ramp is rounded to whole dimensions
//	ingot.rope.llama3.*            Llama 3's settings, of which GGUF has only the factors
//	                               that follow (tensor rope_freqs.weight)
//	ingot.generation.eos_token_ids int32: all tokens that end a generation
//	ingot.pooling.normalize        bool: embeddings are scaled to length 1
//
// A sequence classifier's head (score.weight) is cls.output.weight, pooling_type is 4
// (rank), and its labels are under classifier.output_labels.
//
// Two things do not survive the way into GGUF and back: BERT's pooler, which embeddings
// have no use for, and the bits of Gemma's norms below the precision of 1+w, as which
// GGUF stores them.
package hf
