// Package param holds the parameters of a model that is being trained: for each an f32
// master that the optimizer changes, an f32 gradient that the program's gradient adds to,
// and the copy that the program computes with. A Set is a quant.Source over those copies,
// so engine/model.Load builds on it the very program that serves.
//
//	            Load, Init                  optimizer
//	checkpoint ------------> Master  <------------------- Gradient
//	                           |  rounded once                ^
//	                           v                              | gradient program
//	                        Compute --------> program --------+
//
// All memory is native (kernels.Buf) and lives from New or Load to Close.
package param
