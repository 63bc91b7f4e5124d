package cdc

import (
	"slices"
	"testing"
)

// Rows at one position are numbered in the order in which they are given, whatever session gives them: the order of a key in
// the ledger goes by that.
func TestOrdinalsGoOnAtTheSamePosition(t *testing.T) {
	t.Parallel()
	var o ordinals
	var got []int
	for _, at := range []LSN{7, 7, 7, 9, 9} {
		got = append(got, o.take(at))
	}
	if !slices.Equal(got, []int{0, 1, 2, 0, 1}) {
		t.Errorf("got %v", got)
	}
}
