// Package bounds holds no code, only tests that measure what walpost promises to stay within: memory, the WAL that the host
// keeps, and how long its shutdown takes. `make bounds` measures with the numbers of docs/bounds.md; `go test` with smaller ones.
package bounds
