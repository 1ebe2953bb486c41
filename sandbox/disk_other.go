//go:build !unix

package sandbox

import (
	"io"
	"os"
)

// lockFolder opens the lock file. Other systems than Unix have no lock in the standard library: two processes on one
// folder are not noticed there.
func lockFolder(path string) (io.Closer, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}

// syncFolder does nothing: a folder can't be synced there.
func syncFolder(string) error { return nil }
