//go:build !unix

package http1

// quiet can't be known here: an idle connection that the server has closed fails the request that is sent on it.
func quiet(uintptr) bool { return true }
