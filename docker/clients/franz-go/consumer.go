package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"kafkalab/driver/kit"
)

// consumer is the consumer role: a member of a group once it subscribes, or partitions by hand.
type consumer struct {
	session  *kit.Session
	traffic  traffic
	native   atomic.Pointer[kgo.Client]
	batch    int // most records of a delivery, 0 for no limit
	group    string
	instance string
	blocks   bool     // BlockRebalanceOnPoll
	topics   []string // subscribed
	progress progress
	looping  atomic.Pointer[kit.Loop]

	mu   sync.Mutex
	held map[kit.Place]bool // partitions that it has
}

func newConsumer(session *kit.Session) kit.Client {
	return &consumer{
		session: session, traffic: traffic{session: session}, held: map[kit.Place]bool{},
	}
}

func (c *consumer) Do(command *kit.Command) (kit.Fields, error) {
	switch command.Op {
	case "open":
		return nil, c.open(command)
	case "subscribe":
		return nil, c.subscribe(command)
	case "assign":
		return nil, c.assign(command)
	case "poll":
		return c.poll(command)
	case "commit":
		return c.commit(command)
	case "committed":
		return c.committed(command)
	case "position":
		return c.position(command)
	case "seek":
		return nil, c.seek(command)
	case "pause":
		return nil, c.hold(command, func(places map[string][]int32) {
			c.native.Load().PauseFetchPartitions(places)
		})
	case "resume":
		return nil, c.hold(command, c.native.Load().ResumeFetchPartitions)
	case "consume":
		return c.consume(command)
	}
	return nil, kit.Refusef("%s: not an operation of a consumer", command.Op)
}

func (c *consumer) open(command *kit.Command) error {
	s, err := configure("consumer", command)
	if err != nil {
		return err
	}
	opts := append(s.opts, kgo.WithHooks(&c.traffic))
	if s.group {
		opts = append(opts, c.callbacks()...)
	}
	native, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	c.batch = s.batch
	c.group, _ = native.OptValue(kgo.ConsumerGroup).(string)
	c.instance, _ = native.OptValue(kgo.InstanceID).(string)
	c.blocks = native.OptValue(kgo.BlockRebalanceOnPoll) == true
	c.progress.mode = autoCommit(native)
	c.native.Store(native)
	return nil
}

func (c *consumer) subscribe(command *kit.Command) error {
	var topics []string
	if err := command.Into("topics", &topics); err != nil {
		return err
	}
	native := c.native.Load()
	switch {
	case c.group == "":
		return kit.Refusef("subscribe: expected the config key 'group' when this consumer was opened")
	case native.OptValue(kgo.ConsumeRegex) == true:
		return kit.Refusef("subscribe: kgo adds no topics to a consumer with ConsumeRegex: " +
			"expected the option ConsumeTopics when it was opened")
	}
	wanted := map[string]bool{}
	for _, topic := range topics {
		wanted[topic] = true
	}
	var gone []string
	for _, topic := range c.topics {
		if !wanted[topic] {
			gone = append(gone, topic)
		}
	}
	c.topics = topics
	if len(gone) > 0 {
		native.PurgeTopicsFromConsuming(gone...)
	}
	native.AddConsumeTopics(topics...)
	return nil
}

// assign replaces the partitions by hand.
func (c *consumer) assign(command *kit.Command) error {
	positions, err := command.Positions("partitions")
	if err != nil {
		return err
	}
	if c.group != "" {
		return kit.Refusef("assign: kgo has no partitions by hand in a group: open without 'group'")
	}
	native := c.native.Load()
	wanted := map[string]map[int32]kgo.Offset{}
	for _, each := range positions {
		if wanted[each.Topic] == nil {
			wanted[each.Topic] = map[int32]kgo.Offset{}
		}
		at := kgo.NewOffset().At(each.Offset)
		if each.Offset == kit.NoOffset {
			at = start(native)
		}
		wanted[each.Topic][each.Partition] = at
	}
	c.mu.Lock()
	gone := byTopic(sorted(c.held))
	clear(c.held)
	for _, each := range positions {
		c.held[each.Place] = true
	}
	c.mu.Unlock()
	native.RemoveConsumePartitions(gone)
	native.AddConsumePartitions(wanted)
	return nil
}

// start is where kgo begins a partition that was given no offset; older versions have one option
// for that and for offsets that are out of range.
func start(native *kgo.Client) kgo.Offset {
	for _, option := range []string{"ConsumeStartOffset", "ConsumeResetOffset"} {
		if offset, is := native.OptValue(option).(kgo.Offset); is {
			return offset
		}
	}
	return offsets["AtStart"]
}

// receive polls once; limit 0 is all that there is. It ends early when kgo reports an error.
func (c *consumer) receive(ctx context.Context, limit int) kgo.Fetches {
	native := c.native.Load()
	if c.blocks {
		native.AllowRebalance() // the program is through with what the last poll gave
	}
	c.progress.settle(native)
	fetches := native.PollRecords(ctx, limit)
	if c.blocks && fetches.NumRecords() == 0 {
		native.AllowRebalance()
	}
	fetches.EachError(func(topic string, partition int32, err error) {
		ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
		if ended && ctx != nil && ctx.Err() != nil {
			return
		}
		if topic != "" {
			err = fmt.Errorf("%s: %w", kit.Place{Topic: topic, Partition: partition}, err)
		}
		c.session.Error(err, false)
		if loop := c.looping.Load(); loop != nil {
			loop.Failed(1)
		}
	})
	c.progress.deliver(fetches)
	return fetches
}

// poll waits for the first records only.
func (c *consumer) poll(command *kit.Command) (kit.Fields, error) {
	var most int
	var timeoutMs float64
	if err := command.Into("max_records", &most); err != nil {
		return nil, err
	}
	if err := command.Into("timeout_ms", &timeoutMs); err != nil {
		return nil, err
	}
	if c.batch > 0 {
		most = min(most, c.batch)
	}
	ctx, cancel := context.WithTimeout(c.session.Context(), time.Duration(timeoutMs*1e6))
	defer cancel()
	if timeoutMs == 0 {
		ctx = nil // what is there, in kgo's words
	}
	var rows kit.Rows
	c.receive(ctx, most).EachRecord(func(record *kgo.Record) {
		rows.Add(record.Topic, record.Partition, record.Offset, content(record))
	})
	return kit.Fields{"records": rows.JSON()}, nil
}

func content(of *kgo.Record) *kit.Message {
	message := &kit.Message{Key: of.Key, Value: of.Value}
	for _, header := range of.Headers {
		message.Headers = append(message.Headers, kit.Header{Name: header.Key, Value: header.Value})
	}
	return message
}

// position is where kgo would commit now, as it shows it: behind the last poll, or as committed.
func (c *consumer) position(command *kit.Command) (kit.Fields, error) {
	places, err := command.Places("partitions")
	if err != nil {
		return nil, err
	}
	if c.group == "" {
		return nil, kit.Refusef("position: kgo shows it to members of a group only")
	}
	native := c.native.Load()
	polled, committed := native.UncommittedOffsets(), native.CommittedOffsets()
	found := []kit.Position{}
	for _, place := range places {
		at := kit.Position{Place: place, Offset: kit.NoOffset}
		for _, known := range []map[string]map[int32]kgo.EpochOffset{committed, polled} {
			if offset, has := known[place.Topic][place.Partition]; has {
				at.Offset = offset.Offset
			}
		}
		found = append(found, at)
	}
	return kit.Fields{"offsets": found}, nil
}

func (c *consumer) seek(command *kit.Command) error {
	positions, err := command.Positions("offsets")
	if err != nil {
		return err
	}
	c.mu.Lock()
	for _, each := range positions {
		if !c.held[each.Place] {
			c.mu.Unlock()
			return kit.Refusef("seek: %s is not assigned: kgo would skip it", each.Place)
		}
	}
	c.mu.Unlock()
	to := epochOffsets(positions)
	c.progress.seek(to)
	c.native.Load().SetOffsets(to)
	return nil
}

func (c *consumer) hold(command *kit.Command, do func(map[string][]int32)) error {
	places, err := command.Places("partitions")
	if err != nil {
		return err
	}
	do(byTopic(places))
	return nil
}

func (c *consumer) Observe() kit.Observed {
	native := c.native.Load()
	if native == nil {
		return c.traffic.observe(0)
	}
	return c.traffic.observe(native.BufferedFetchRecords())
}

// Close leaves the group, in the time that the lab gives it, and closes.
func (c *consumer) Close() error {
	native := c.native.Load()
	if native == nil {
		return nil
	}
	ctx, cancel := context.WithDeadline(context.Background(), c.session.CloseBy())
	defer cancel()
	native.AllowRebalance()
	err := native.LeaveGroupContext(ctx)
	native.Close()
	return err
}
