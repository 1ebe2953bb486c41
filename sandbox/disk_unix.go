//go:build unix

package sandbox

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// lockFolder takes the lock for this process. The system gives it back when the process ends, however it ends.
func lockFolder(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(errInUse, f.Close())
	}
	return f, nil
}

var errInUse = errors.New("another sandbox uses it: stop that one, or choose another folder")

// syncFolder makes a rename in the folder survive anything.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
