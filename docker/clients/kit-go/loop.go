package kit

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	hdrhistogram "github.com/HdrHistogram/hdrhistogram-go"
)

// Loop is the frame of one `produce` or `consume`: it ends in time, reports, and adds up.
type Loop struct {
	session *Session
	id      int64
	most    int64 // records after which a consuming loop ends, −1 for none
	ctx     context.Context
	cancel  context.CancelFunc
	over    atomic.Bool

	counted     atomic.Int64
	deliveredNs atomic.Int64

	mu        sync.Mutex
	lanes     []*Lane
	finished  bool
	loopParts counters // of no lane
	whole     counters
	places    map[Place]int64
	beganNs   int64
	untilNs   int64 // when its time is over
	sampledNs int64

	histogramMu sync.Mutex
	interval    *hdrhistogram.Histogram // fills
	spare       *hdrhistogram.Histogram // the next interval's
	all         *hdrhistogram.Histogram

	sampler chan struct{} // closed when the last sample was written
	quit    chan struct{}
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, latencyUsMax, 3) }

// start begins a loop; `duration_s` and a `stop` that came before count from here.
func (s *Session) start(c *Command, most int64) (*Loop, error) {
	var seconds float64
	if err := c.Into("duration_s", &seconds); err != nil {
		return nil, err
	}
	now := Now()
	loop := &Loop{
		session:   s,
		id:        c.ID,
		most:      most,
		places:    map[Place]int64{},
		beganNs:   now,
		untilNs:   math.MaxInt64,
		sampledNs: now,
		interval:  newHistogram(),
		spare:     newHistogram(),
		all:       newHistogram(),
		sampler:   make(chan struct{}),
		quit:      make(chan struct{}),
	}
	loop.deliveredNs.Store(now)
	loop.ctx, loop.cancel = context.WithCancel(s.ctx)
	context.AfterFunc(loop.ctx, func() { loop.over.Store(true) })
	if c.Has("duration_s") {
		loop.untilNs = now + int64(seconds*1e9)
		timer := time.AfterFunc(time.Duration(seconds*1e9), loop.end)
		context.AfterFunc(loop.ctx, func() { timer.Stop() })
	}
	s.host.mu.Lock()
	s.host.loops[c.ID] = loop
	stopped := s.host.stopped[c.ID]
	s.host.mu.Unlock()
	if stopped || most == 0 {
		loop.end()
	}
	go loop.sample()
	return loop, nil
}

// Context is done when the loop has to end: its time is over, it has its records, it was stopped,
// or its client is to be closed.
func (l *Loop) Context() context.Context { return l.ctx }

// Over tells whether the loop has to end; it costs next to nothing.
func (l *Loop) Over() bool { return l.over.Load() }

func (l *Loop) end() {
	l.over.Store(true)
	l.cancel()
}

// Lane makes counters for a partition; one for each goroutine that counts it.
func (l *Loop) Lane(topic string, partition int32) *Lane {
	lane := &Lane{
		loop: l, topic: topic, partition: partition, offset: -1,
		latencies: make([]run, 0, foldAt),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	lane.closed = l.finished
	l.lanes = append(l.lanes, lane)
	return lane
}

// Failed counts records that the client gave up, or errors that it reported.
func (l *Loop) Failed(errors int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loopParts.errors += errors
}

// sample reports each second until the loop is finished.
func (l *Loop) sample() {
	defer close(l.sampler)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-ticker.C:
		}
		fields := l.collect(false)
		fields["id"] = l.id
		fields["runtime"] = l.session.observe()
		l.session.Event("sample", fields)
	}
}

// collect adds what was counted since the last time to the whole, and gives it as fields.
func (l *Loop) collect(closing bool) Fields {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := Now()
	part, places := l.loopParts, map[Place]int64{}
	l.loopParts = counters{}
	part.gapNs = max(part.gapNs, now-l.deliveredNs.Load())
	for _, lane := range l.lanes {
		counted := lane.take(closing)
		if counted.records > 0 {
			places[Place{lane.topic, lane.partition}] += counted.records
		}
		part.add(&counted)
	}
	l.histogramMu.Lock()
	latencies := l.interval
	l.interval = l.spare
	l.histogramMu.Unlock()
	l.all.Merge(latencies)
	for place, records := range places {
		l.places[place] += records
	}
	l.whole.add(&part)
	seconds := float64(now-l.sampledNs) / 1e9
	l.sampledNs = now
	l.finished = closing
	fields := l.fields(&part, seconds, places, latencies)
	latencies.Reset()
	l.spare = latencies
	return fields
}

func (l *Loop) fields(
	of *counters, seconds float64, places map[Place]int64, latencies *hdrhistogram.Histogram,
) Fields {
	return Fields{
		"interval_s":   seconds,
		"records":      of.records,
		"bytes":        of.bytes,
		"errors":       of.errors,
		"corrupt":      of.corrupt,
		"out_of_order": of.outOfOrder,
		"value_sum":    of.valueSum,
		"partitions":   named(places),
		"gap_ms_max":   float64(of.gapNs) / 1e6,
		"latency_us":   encode(latencies),
	}
}

// Finish ends the loop and gives its totals; what is counted later is not part of it.
func (l *Loop) Finish() Fields {
	l.end()
	close(l.quit)
	<-l.sampler
	l.session.host.mu.Lock()
	delete(l.session.host.loops, l.id)
	l.session.host.mu.Unlock()
	l.collect(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	fields := l.fields(&l.whole, float64(Now()-l.beganNs)/1e9, l.places, l.all)
	fields["runtime"] = l.session.observe()
	return fields
}

func named(places map[Place]int64) map[string]int64 {
	found := map[string]int64{}
	for place, records := range places {
		found[place.String()] = records
	}
	return found
}
