// Package quant holds numbers at rest: the storage types of tensors and their
// codecs, a model's metadata, and (in its sub-packages) the file formats they lie in.
//
// The central types are DType, a ggml storage type; Tensor, a read-only view of an
// array's bytes; Meta, GGUF's key-value metadata; and Source, an opened model of any
// format. Codecs are pure Go and bit-exact to the formats; they are the oracle that
// native kernels are tested against.
package quant
