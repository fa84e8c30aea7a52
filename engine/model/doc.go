// Package model holds the architectures. A family is one short file that reads as its
// paper's diagram and yields a kernels.Program: plain data that serving runs and
// training differentiates. The parts that families share (rotary embedding, attention,
// feed-forward, mixture of experts, the head) are in sublayers.go; numbers come from
// Config, tensors from Weights, both under GGUF's names whatever the file's format.
//
// To add a family: write its file, add its row to the table in family.go, and a golden.
package model
