//go:build race

package bounds

// raceOverhead is how much more memory the race detector takes at most; see
// https://go.dev/doc/articles/race_detector#Runtime_Overheads, which says 5 to 10 times for what is shadowed.
const raceOverhead = 5
