package main

import (
	"time"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// consumeLoop is one `consume` command. Styles:
//
//	stream  the handler's own loop: each record is looked at where sarama gives it, on the claim's
//	        goroutine; partitions are worked on at the same time
//	batch   the same, with what is in the channel by now at a time
//	poll    one goroutine for all partitions asks the handlers for what is there, as `poll` does
//
// A delivery is a record for stream, else what came together.
type consumeLoop struct {
	c     *consumer
	loop  *kit.Loop
	spec  *kit.ConsumeSpec
	batch int
	// what is asked for each record
	stream  bool
	commits bool
	alone   bool // something happens after each record, so that each has a time of its own
}

const pollTime = 100 * time.Millisecond // how long the poll style waits at a time

// together is how many records of a stream share a time when they were all there: a few µs.
const together = 16

func (c *consumer) consume(command *kit.Command) (kit.Fields, error) {
	loop, spec, err := c.session.Consume(command, "poll", "batch", "stream")
	if err != nil {
		return nil, err
	}
	if c.group == "" && (spec.Commit == "sync" || spec.Commit == "async") {
		loop.Finish()
		return nil, kit.Refusef("commit: this consumer has no group")
	}
	l := &consumeLoop{
		c: c, loop: loop, spec: spec, batch: spec.Batch,
		stream:  spec.Style == "stream",
		commits: spec.Commit != "none",
		alone:   spec.Work > 0 || spec.Commit == "sync",
	}
	if l.batch == 0 {
		l.batch = c.settings.batch
	}
	if spec.Style == "poll" {
		l.poll()
		return loop.Finish(), nil
	}
	c.change(l)
	<-loop.Context().Done()
	c.change(nil)
	return loop.Finish(), nil
}

// change lets records go to a loop, or wait for a poll again.
func (c *consumer) change(to *consumeLoop) {
	before := c.mode.Swap(&mode{loop: to, changed: make(chan struct{})})
	close(before.changed)
}

// take works on a record, or on a batch that begins with it; false when the loop is over.
func (l *consumeLoop) take(f *feed, message *sarama.ConsumerMessage) bool {
	if l.loop.Over() {
		return false
	}
	if f.laneOf != l {
		f.lane, f.laneOf = l.loop.Lane(f.place.Topic, f.place.Partition), l
	}
	if l.stream {
		if f.burst%together == 0 || l.alone {
			f.nowNs = kit.Now()
		}
		if !f.lane.Consumed(f.nowNs, message.Offset, message.Value) {
			return false
		}
		l.loop.Work(l.spec, 1)
		l.commit(f, message.Offset)
		return true
	}
	return l.work(part{f, f.collect(message, l.batch)})
}

// work counts what came together, keeps busy, and commits.
func (l *consumeLoop) work(of part) bool {
	now := kit.Now()
	for _, message := range of.messages {
		if !of.feed.lane.Consumed(now, message.Offset, message.Value) {
			return false
		}
	}
	of.feed.lane.Rest()
	l.loop.Work(l.spec, len(of.messages))
	l.commit(of.feed, of.messages[len(of.messages)-1].Offset)
	return true
}

func (l *consumeLoop) poll() {
	for !l.loop.Over() {
		taken := l.c.receive(l.batch, pollTime)
		for _, part := range taken.parts {
			if part.feed.laneOf != l {
				place := part.feed.place
				part.feed.lane, part.feed.laneOf = l.loop.Lane(place.Topic, place.Partition), l
			}
			l.work(part)
		}
		close(taken.processed)
	}
}

// commit marks what was delivered and commits as the command says.
func (l *consumeLoop) commit(f *feed, last int64) {
	if !l.commits || f.offsets == nil {
		return
	}
	f.offsets.mark(kit.Position{Place: f.place, Offset: last + 1}, false)
	switch l.spec.Commit {
	case "sync":
		f.offsets.commit()
	case "async":
		l.c.commits.kick(f.offsets)
	}
}
