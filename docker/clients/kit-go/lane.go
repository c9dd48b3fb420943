package kit

import (
	"sync"

	hdrhistogram "github.com/HdrHistogram/hdrhistogram-go"
)

const (
	latencyUsMax = 3_600_000_000
	foldAt       = 1024   // different latencies that a lane keeps before the histogram takes them
	gapStep      = 50_000 // ns: deliveries that follow each other within it are not told apart
	nearEnd      = 4096   // records before the end of a loop from which on each is counted at once
)

// Lane counts the records of one partition in a loop, from one goroutine at a time; a sample, and
// the end of the loop, take what is there from another. Hardly anybody else wants its lock.
type Lane struct {
	loop      *Loop
	topic     string
	partition int32

	mu sync.Mutex
	counters
	closed    bool
	offset    int64 // of the last record
	owed      int64 // records that the loop does not know of: all its lanes write to one counter
	latencies []run // not yet in the histogram
}

// run are records that follow each other with one latency, as those of one batch mostly do.
type run struct{ us, records int64 }

// counters are what is added up of an interval.
type counters struct {
	records, bytes, errors, corrupt, outOfOrder int64
	valueSum                                    uint64
	gapNs                                       int64
}

func (c *counters) add(part *counters) {
	c.records += part.records
	c.bytes += part.bytes
	c.errors += part.errors
	c.corrupt += part.corrupt
	c.outOfOrder += part.outOfOrder
	c.valueSum += part.valueSum
	c.gapNs = max(c.gapNs, part.gapNs)
}

// Consumed counts one delivered record: is it intact, in order, how old? False when the loop is
// over and did not count it.
func (l *Lane) Consumed(nowNs, offset int64, value []byte) bool {
	intact := problem(value) == ""
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.deliver(nowNs)
	if offset <= l.offset {
		l.outOfOrder++
	}
	l.offset = offset
	if !intact {
		l.corrupt++
		return true
	}
	l.bytes += int64(len(value))
	l.valueSum += PayloadValue(value)
	if sent := PayloadTime(value); sent != 0 {
		l.latency(nowNs - sent)
	}
	return true
}

// Acks counts the acknowledged records of a producing loop, from one goroutine at a time.
type Acks struct {
	loop      *Loop
	topic     string
	open      bool    // records have a schedule
	lanes     []*Lane // by partition
	partition int32   // of the last record
	offset    int64
	nowNs     int64
	left      int // records that may still share that time
}

// Acks are those of a loop that [Session.Produce] gave.
func (l *Loop) Acks(spec *ProduceSpec) *Acks {
	return &Acks{loop: l, topic: spec.Topic, open: spec.Rate > 0}
}

// Add counts a record that [Loop.Pace] gave, acknowledged just now. In a closed loop a few that
// follow each other in a partition, and so mostly are of one batch, share the time of the first.
func (a *Acks) Add(partition int32, offset int64, record Paced) {
	if a.open || a.left == 0 || partition != a.partition || offset != a.offset+1 {
		a.nowNs, a.left = Now(), together
	}
	a.left--
	a.partition, a.offset = partition, offset
	for int(partition) >= len(a.lanes) {
		a.lanes = append(a.lanes, nil)
	}
	if a.lanes[partition] == nil {
		a.lanes[partition] = a.loop.Lane(a.topic, partition)
	}
	a.lanes[partition].produced(a.nowNs, record)
}

func (l *Lane) produced(nowNs int64, record Paced) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deliver(nowNs)
	l.bytes += int64(record.Size)
	l.valueSum += record.Value
	l.latency(nowNs - record.IntendedNs)
}

// deliver notes a record, and how long there was none; it ends a loop that has enough.
func (l *Lane) deliver(nowNs int64) {
	l.records++
	if before := l.loop.deliveredNs.Load(); nowNs-before > gapStep {
		if l.loop.deliveredNs.CompareAndSwap(before, nowNs) {
			l.gapNs = max(l.gapNs, nowNs-before)
		}
	}
	if l.loop.most < 0 {
		return
	}
	if l.owed++; l.owed == together || l.loop.counted.Load() > l.loop.most-nearEnd {
		l.pay()
	}
}

// Rest tells that nothing more is there by now: call it before a wait for more records.
func (l *Lane) Rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pay()
}

func (l *Lane) pay() {
	if l.owed > 0 && l.loop.counted.Add(l.owed) >= l.loop.most {
		l.loop.end()
	}
	l.owed = 0
}

func (l *Lane) latency(ns int64) {
	us := ns / 1000
	if last := len(l.latencies) - 1; last >= 0 && l.latencies[last].us == us {
		l.latencies[last].records++
		return
	}
	if len(l.latencies) == foldAt {
		l.loop.fold(&l.latencies)
	}
	l.latencies = append(l.latencies, run{us, 1})
}

// fold puts latencies into the interval's histogram and empties the list.
func (l *Loop) fold(latencies *[]run) {
	l.histogramMu.Lock()
	defer l.histogramMu.Unlock()
	for _, each := range *latencies {
		us := min(max(each.us, 0), latencyUsMax)
		_ = l.interval.RecordValues(us, each.records) // in range: it cannot fail
	}
	*latencies = (*latencies)[:0]
}

// take gives what was counted since the last time; closing makes it the last.
func (l *Lane) take(closing bool) counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loop.fold(&l.latencies)
	l.pay()
	part := l.counters
	l.counters = counters{}
	l.closed = l.closed || closing
	return part
}

// encode gives a histogram in the contract's form, null without records.
func encode(histogram *hdrhistogram.Histogram) any {
	if histogram.TotalCount() == 0 {
		return nil
	}
	encoded, err := histogram.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		panic("a histogram that cannot be encoded: " + err.Error()) // written to memory
	}
	return string(encoded)
}
