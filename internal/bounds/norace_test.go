//go:build !race

package bounds

// raceOverhead: the figures are those of the program as it is.
const raceOverhead = 1
