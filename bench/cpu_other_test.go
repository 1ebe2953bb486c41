//go:build !unix

package bench

import "time"

var start = time.Now()

// cpuTime is the time by the watch, where the system is not asked for better.
func cpuTime() time.Duration { return time.Since(start) }
