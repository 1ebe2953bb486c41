//go:build !linux

package crash

import "syscall"

// diesWithParent is nothing where the system has no such thing: only a test that is itself killed leaves processes.
func diesWithParent() *syscall.SysProcAttr { return nil }
