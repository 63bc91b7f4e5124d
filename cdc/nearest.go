package cdc

// nearest returns the candidate that name is most likely a misspelling of: the one at the smallest edit
// distance, if no more than a third of the name would have to change.
func nearest(name string, candidates []string) (string, bool) {
	best, found := len(name)/3+1, ""
	for _, candidate := range candidates {
		if d := editDistance(name, candidate); d < best {
			best, found = d, candidate
		}
	}
	return found, found != ""
}

// editDistance is the number of bytes to insert, delete or replace to get from a to b (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
