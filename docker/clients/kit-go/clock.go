package kit

import (
	"time"

	"golang.org/x/sys/unix"
)

// Go's monotonic time is CLOCK_MONOTONIC too, but counted from an origin that it does not show, and
// read without a system call: what it lacks is only the difference.
var began, beganNs = calibrate()

// Now is CLOCK_MONOTONIC in nanoseconds.
func Now() int64 {
	return beganNs + int64(time.Since(began))
}

// calibrate reads both clocks until a reading was not interrupted: the shortest of many.
func calibrate() (time.Time, int64) {
	var at time.Time
	var atNs int64
	shortest := time.Duration(1<<63 - 1)
	for range 200 {
		var read unix.Timespec
		before := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &read); err != nil {
			panic("CLOCK_MONOTONIC: " + err.Error()) // no Linux lacks it
		}
		if took := time.Since(before); took < shortest {
			shortest, at, atNs = took, before.Add(took/2), read.Nano()
		}
	}
	return at, atNs
}
