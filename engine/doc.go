// Package engine turns tokens into tokens: it owns the loop that schedules, runs the
// program, samples and commits, and hands what comes out to each request's Stream.
package engine
