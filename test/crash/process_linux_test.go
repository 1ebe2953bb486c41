package crash

import "syscall"

// diesWithParent leaves no process behind, even where the test itself is killed.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
