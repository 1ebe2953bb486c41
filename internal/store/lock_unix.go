//go:build unix

package store

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the lock that keeps a second process out. The system frees it when the process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another fenhao is using it: stop that one first, or choose another file")
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
