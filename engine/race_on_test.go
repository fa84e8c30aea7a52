//go:build race

package engine

// raceDetector slows the reference kernels tenfold; what they compute is not its concern.
const raceDetector = true
