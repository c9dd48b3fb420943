package kit

import (
	"bytes"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync"
)

// runtimeMetrics reads what only the driver sees of its own process. Each reader has its own: the
// longest scheduler delay is that since its last report.
type runtimeMetrics struct {
	mu     sync.Mutex
	delays []uint64 // counts of the scheduler's histogram when it was last read
}

const (
	heapObjects    = "/memory/classes/heap/objects:bytes"
	schedLatencies = "/sched/latencies:seconds"
	goroutines     = "/sched/goroutines:goroutines"
)

func (r *runtimeMetrics) read(seen Observed) Fields {
	samples := []metrics.Sample{{Name: heapObjects}, {Name: schedLatencies}, {Name: goroutines}}
	metrics.Read(samples)
	var collections debug.GCStats
	debug.ReadGCStats(&collections)
	return Fields{
		"heap_bytes":             samples[0].Value.Uint64(),
		"buffered_records":       seen.BufferedRecords,
		"scheduler_delay_ms_max": r.delayMs(samples[1].Value.Float64Histogram()),
		"gc_pause_ms_total":      float64(collections.PauseTotal) / 1e6,
		"threads":                threads(),
		"goroutines":             samples[2].Value.Uint64(),
		"received_bytes":         seen.ReceivedBytes,
		"sent_bytes":             seen.SentBytes,
	}
}

// delayMs is the upper bound of the highest bucket that grew since the last call.
func (r *runtimeMetrics) delayMs(now *metrics.Float64Histogram) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.delays
	r.delays = append([]uint64(nil), now.Counts...)
	if before == nil {
		before = make([]uint64, len(now.Counts))
	}
	for index := len(now.Counts) - 1; index >= 0; index-- {
		if now.Counts[index] == before[index] {
			continue
		}
		if high := now.Buckets[index+1]; !math.IsInf(high, 1) {
			return high * 1e3
		}
		return now.Buckets[index] * 1e3
	}
	return 0
}

// threads are those of the operating system, null where it does not say.
func threads() *int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil
	}
	_, rest, found := bytes.Cut(status, []byte("\nThreads:"))
	if !found {
		return nil
	}
	text, _, _ := bytes.Cut(rest, []byte("\n"))
	count, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return nil
	}
	return &count
}
