// Package kernels holds numbers in motion: the operations of a forward pass, programs
// made of them, the memory they run in, and the tables of code that run them.
//
// A model family calls a Builder's methods, one per operation, and gets a Program: a
// flat list of Instr over numbered operands, as plain data. Program.Plan lays out its
// buffers for given Limits; a Runner owns that memory and runs the program once per
// Batch. A Table is one implementation of all operations: the pure-Go reference, which
// is their specification, or a set of native kernels from the embedded library. Every
// operation is one Go file here (its doc comment is its specification) and files of
// the same name in csrc.
//
// The bits of a result row depend on that row's inputs and the weights alone: not on
// the other rows, the number of threads, or how a sequence was cut into batches. Each
// table keeps this; two tables agree within the tolerance that an operation states.
//
// A Builder that trains (Builder.Train) appends, behind the same forward pass, the loss and
// the gradient of every weight, which each operation's file derives beside the operation.
//
// A step costs one call of the library, with one pointer, and no Go allocation. C sees
// native memory and mapped files only.
package kernels
