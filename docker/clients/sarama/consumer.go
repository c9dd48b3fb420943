package main

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// consumer is the consumer role: a member of a group once it subscribes, or partitions by hand.
type consumer struct {
	session *kit.Session
	calls
	registry registry
	settings *settings
	group    string
	client   sarama.Client
	commits  *committer

	wants  chan *want // of a poll, answered by whichever feed has records
	alerts chan struct{}
	mode   atomic.Pointer[mode]

	mu       sync.Mutex
	closed   bool
	feeds    map[kit.Place]*feed
	next     map[kit.Place]int64 // behind what was delivered
	failures map[kit.Place]error // the last that sarama reported of a partition
	member   *member
	assigned *assigned
	admin    sarama.ClusterAdmin
}

func newConsumer(session *kit.Session) kit.Client {
	c := &consumer{
		session:  session,
		calls:    calls{session: session},
		registry: newRegistry(),
		wants:    make(chan *want),
		alerts:   make(chan struct{}, 1),
		feeds:    map[kit.Place]*feed{},
		next:     map[kit.Place]int64{},
		failures: map[kit.Place]error{},
	}
	c.mode.Store(&mode{changed: make(chan struct{})})
	return c
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
		return nil, kit.Refusef("position: sarama shows no position")
	case "seek":
		return nil, c.seek(command)
	case "pause":
		return nil, c.hold(command, sarama.Consumer.Pause, sarama.ConsumerGroup.Pause)
	case "resume":
		return nil, c.hold(command, sarama.Consumer.Resume, sarama.ConsumerGroup.Resume)
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
	s.Consumer.Return.Errors = true
	s.MetricRegistry = c.registry
	c.settings, c.group = s, s.group
	if c.group != "" {
		c.commits = newCommitter(c)
	}
	return c.wait(func() error {
		client, err := sarama.NewClient(s.addresses, s.Config)
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.closed {
			return client.Close()
		}
		c.client = client
		return nil
	})
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
	taken := c.receive(max(1, min(most, c.settings.batch)), time.Duration(timeoutMs*1e6))
	command.After(func() { c.processed(taken) })
	var rows kit.Rows
	for _, part := range taken.parts {
		for _, message := range part.messages {
			rows.Add(message.Topic, message.Partition, message.Offset, content(message))
		}
	}
	return kit.Fields{"records": rows.JSON()}, nil
}

func content(of *sarama.ConsumerMessage) *kit.Message {
	message := &kit.Message{Key: of.Key, Value: of.Value}
	for _, header := range of.Headers {
		message.Headers = append(
			message.Headers, kit.Header{Name: string(header.Key), Value: header.Value})
	}
	return message
}

// processed says that the program is through with what it was given: the handlers go on, and where
// sarama commits by itself they have marked it.
func (c *consumer) processed(taken *delivery) {
	auto := c.settings.Consumer.Offsets.AutoCommit.Enable
	for _, part := range taken.parts {
		last := part.messages[len(part.messages)-1]
		c.mu.Lock()
		c.next[part.feed.place] = last.Offset + 1
		c.mu.Unlock()
		if auto && part.feed.offsets != nil {
			part.feed.offsets.mark(kit.Position{Place: part.feed.place, Offset: last.Offset + 1}, false)
		}
	}
	close(taken.processed)
}

// report passes on what sarama reports outside of any command; a poll does not wait any longer.
func (c *consumer) report(err error) {
	if of, is := err.(*sarama.ConsumerError); is {
		c.mu.Lock()
		c.failures[kit.Place{Topic: of.Topic, Partition: of.Partition}] = of.Err
		c.mu.Unlock()
	}
	c.session.Error(err, false)
	if running := c.mode.Load().loop; running != nil {
		running.loop.Failed(1)
	}
	select {
	case c.alerts <- struct{}{}:
	default:
	}
}

// current is the session of the group, nil where there is none now.
func (c *consumer) current() sarama.ConsumerGroupSession {
	c.mu.Lock()
	member := c.member
	c.mu.Unlock()
	return member.current()
}

// hold pauses or resumes partitions; sarama ignores those that it does not have.
func (c *consumer) hold(
	command *kit.Command,
	byHand func(sarama.Consumer, map[string][]int32),
	inGroup func(sarama.ConsumerGroup, map[string][]int32),
) error {
	places, err := command.Places("partitions")
	if err != nil {
		return err
	}
	wanted := map[string][]int32{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, place := range places {
		if c.feeds[place] == nil {
			return kit.Refusef("%s: %s is not assigned: sarama would ignore it", command.Op, place)
		}
		wanted[place.Topic] = append(wanted[place.Topic], place.Partition)
	}
	if c.assigned != nil {
		c.assigned.hold(places, command.Op == "pause")
		byHand(c.assigned.consumer, wanted)
	} else {
		inGroup(c.member.group, wanted)
	}
	return nil
}

// committed asks the coordinator.
func (c *consumer) committed(command *kit.Command) (kit.Fields, error) {
	places, err := command.Places("partitions")
	if err != nil {
		return nil, err
	}
	if c.group == "" {
		return nil, kit.Refusef("committed: this consumer has no group")
	}
	var found []kit.Position
	err = c.wait(func() (err error) {
		found, err = c.coordinated(places)
		return err
	})
	return kit.Fields{"offsets": found}, err
}

// coordinated are the offsets that the coordinator has.
func (c *consumer) coordinated(places []kit.Place) ([]kit.Position, error) {
	c.mu.Lock()
	if c.admin == nil {
		admin, err := sarama.NewClusterAdminFromClient(c.client)
		if err != nil {
			c.mu.Unlock()
			return nil, err
		}
		c.admin = admin // never closed: that would close the client
	}
	admin := c.admin
	c.mu.Unlock()
	return groupOffsets(admin, c.group, places)
}

func (c *consumer) Observe() kit.Observed {
	var buffered int64
	c.mu.Lock()
	for _, each := range c.feeds {
		buffered += each.buffered()
	}
	c.mu.Unlock()
	return kit.Observed{
		BufferedRecords: &buffered,
		ReceivedBytes:   c.registry.count(received),
		SentBytes:       c.registry.count(sent),
	}
}

// Close leaves the group, or lets the partitions go, and closes the connections.
func (c *consumer) Close() error {
	c.settle()
	if c.commits != nil {
		c.commits.close()
	}
	c.mu.Lock()
	c.closed = true
	client, member, assigned := c.client, c.member, c.assigned
	c.mu.Unlock()
	defer c.registry.close()
	var failed error
	keep := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	if member != nil {
		keep(member.close())
	}
	if assigned != nil {
		keep(assigned.close())
	}
	if client != nil {
		keep(client.Close())
	}
	return failed
}
