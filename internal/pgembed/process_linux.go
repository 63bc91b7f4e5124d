package pgembed

import "syscall"

// dieWithParent has the kernel shut Postgres down at once when this process ends in
// whatever way. SIGQUIT is Postgres's immediate shutdown: no data is wanted any more.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
