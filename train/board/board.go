// Package board shows how training runs go: as one page at a run's end (WriteReport) and,
// while they go on, in a browser (Server). Both draw what a run's log holds, which is
// OUT/log.jsonl: a JSON object a line, appended to by every process that works on the run.
//
//	{"run": {"from": 0, ...}}                                 a process begins (Start)
//	{"step": 1, "loss": 7.6, "tok_s": 41000, ...}             a step of training
//	{"step": 200, "valid_loss": 3.1, "sample": "Once", ...}   an evaluation (Evaluation)
//
// A number beside "step" is a curve's next value, a true one a Mark, with its "reason" if
// there is one, "sample" a text: a figure that training adds to its lines is drawn without
// a change here. Lines that are no such thing are counted and left out.
package board
