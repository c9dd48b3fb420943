package main

import (
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// How records get from sarama to a poll or a loop.
//
// sarama gives the records of each partition through a channel to a goroutine of its own: the
// handler of a claim, or whoever reads a PartitionConsumer. Here that goroutine takes one record
// and holds it until a poll wants some; then it adds what is in the channel by now and waits until
// the program (the lab) has them, as a handler that processes what it was given. So nothing is
// fetched ahead beyond what sarama does by itself and this one record, and a partition is not let
// go while its records are being processed. (In a cooperative group sarama tells a handler only by
// closing the channel that a partition is to go: one that holds a record learns it at the next
// poll, like a program that is busy.) A loop of style stream or batch works on that goroutine
// itself.

// feed is one partition that delivers.
type feed struct {
	place    kit.Place
	messages <-chan *sarama.ConsumerMessage
	gone     <-chan struct{} // the session or the assignment that it belongs to is over
	offsets  offsets         // nil without a group
	holds    atomic.Bool     // a record in the hand
	burst    int             // records that came without waiting for one
	lane     *kit.Lane       // of a running loop; the feed's goroutine has it
	laneOf   *consumeLoop
	nowNs    int64
}

// mode is what becomes of records.
type mode struct {
	loop    *consumeLoop  // nil: they wait for a poll
	changed chan struct{} // closed when another mode has come
}

// want is a poll that waits, or that has room for more.
type want struct {
	most      int
	answer    chan part
	processed <-chan struct{}
}

// part is what one partition gave.
type part struct {
	feed     *feed
	messages []*sarama.ConsumerMessage
}

// delivery is what a poll got.
type delivery struct {
	parts     []part
	processed chan struct{} // closed when the program is through with it
}

// flow delivers a partition's records until sarama or the group ends it.
func (c *consumer) flow(f *feed) {
	c.mu.Lock()
	c.feeds[f.place] = f
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.feeds[f.place] == f {
			delete(c.feeds, f.place)
		}
	}()
	for {
		message, open, more := f.receive()
		if !more || !open || !c.give(f, message) {
			return
		}
	}
}

// receive waits for the next record; more is false when the feed is over.
func (f *feed) receive() (message *sarama.ConsumerMessage, open, more bool) {
	select {
	case message, open = <-f.messages: // cheaper than to wait for two things
		f.burst++
		return message, open, true
	default:
	}
	f.burst = 0
	if f.lane != nil {
		f.lane.Rest()
	}
	select {
	case message, open = <-f.messages:
		return message, open, true
	case <-f.gone:
		return nil, false, false
	}
}

// give hands a record over; false when it is too late for that.
func (c *consumer) give(f *feed, message *sarama.ConsumerMessage) bool {
	for {
		mode := c.mode.Load()
		if mode.loop != nil {
			if mode.loop.take(f, message) {
				return true
			}
			select {
			case <-mode.changed:
			case <-f.gone:
				return false
			}
			continue
		}
		f.holds.Store(true)
		select {
		case want := <-c.wants:
			f.holds.Store(false)
			want.answer <- part{f, f.collect(message, want.most)}
			<-want.processed
			return true
		case <-mode.changed:
			f.holds.Store(false)
		case <-f.gone:
			f.holds.Store(false)
			return false
		}
	}
}

// collect adds to a record what waits behind it.
func (f *feed) collect(first *sarama.ConsumerMessage, most int) []*sarama.ConsumerMessage {
	messages := make([]*sarama.ConsumerMessage, 1, min(most, len(f.messages)+1))
	messages[0] = first
	for len(messages) < most {
		select {
		case message, open := <-f.messages:
			if !open {
				return messages
			}
			messages = append(messages, message)
		default:
			return messages
		}
	}
	return messages
}

func (f *feed) buffered() int64 {
	count := int64(len(f.messages))
	if f.holds.Load() {
		count++
	}
	return count
}

// receive waits for the first partition that has records, and adds those of others that have some.
// It ends early when sarama reports an error or a close is asked for.
func (c *consumer) receive(most int, timeout time.Duration) *delivery {
	taken := &delivery{processed: make(chan struct{})}
	select {
	case <-c.alerts: // of an error that came before
	default:
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	next := &want{most: most, answer: make(chan part, 1), processed: taken.processed}
	select {
	case c.wants <- next:
	case <-c.alerts:
		return taken
	case <-timer.C:
		return taken
	case <-c.session.Context().Done():
		return taken
	}
	for {
		part := <-next.answer
		taken.parts = append(taken.parts, part)
		most -= len(part.messages)
		if most <= 0 {
			return taken
		}
		next = &want{most: most, answer: next.answer, processed: taken.processed}
		select {
		case c.wants <- next:
		default:
			return taken
		}
	}
}
