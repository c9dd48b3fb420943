package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"kafkalab/driver/kit"
)

// callbacks report what kgo tells a member of its partitions.
func (c *consumer) callbacks() []kgo.Opt {
	return []kgo.Opt{
		kgo.OnPartitionsAssigned(func(_ context.Context, native *kgo.Client, of map[string][]int32) {
			c.note(of, true)
			c.tell("assigned", native, of)
		}),
		kgo.OnPartitionsRevoked(func(ctx context.Context, native *kgo.Client, of map[string][]int32) {
			c.note(of, false)
			c.tell("revoked", native, of)
			c.progress.commit(ctx, native, c.selfCommitted)
			c.progress.drop(of)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, native *kgo.Client, of map[string][]int32) {
			c.note(of, false)
			c.tell("lost", native, of)
			c.progress.drop(of)
		}),
		kgo.AutoCommitCallback(c.selfCommitted),
	}
}

// selfCommitted reports what became of a commit that kgo, or its place in OnPartitionsRevoked, made by
// itself; its own callback does so in the log.
func (c *consumer) selfCommitted(
	_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error,
) {
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			c.session.Error(err, false)
		}
		return
	}
	for _, topic := range answer.Topics {
		for _, partition := range topic.Partitions {
			if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
				c.session.Error(err, false)
			}
		}
	}
}

func (c *consumer) note(of map[string][]int32, held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, place := range places(of) {
		if held {
			c.held[place] = true
		} else {
			delete(c.held, place)
		}
	}
}

func (c *consumer) tell(kind string, native *kgo.Client, of map[string][]int32) {
	member, generation := native.GroupMetadata()
	if member == "" {
		c.session.Group(kind, places(of), nil, nil)
		return
	}
	c.session.Group(kind, places(of), &generation, &member)
}

// progress is what kgo's default for OnPartitionsRevoked knows by itself: with autocommit it
// commits, before partitions go, what was polled before the last poll began. Whoever wants to hear
// of revocations replaces that default, so the driver does the same in its place; the option
// GreedyAutoCommit commits all that was polled, AutoCommitMarks what was marked (here: as above).
type progress struct {
	mode autoMode

	mu        sync.Mutex
	delivered map[kit.Place]*kgo.Record     // the last of each by the last poll
	processed map[kit.Place]kgo.EpochOffset // before the poll that runs, or ran last
}

type autoMode int

const (
	noAuto autoMode = iota
	plainAuto
	greedyAuto
	markedAuto
)

func autoCommit(native *kgo.Client) autoMode {
	switch {
	case native.OptValue(kgo.ConsumerGroup) == "", native.OptValue(kgo.DisableAutoCommit) == true:
		return noAuto
	case native.OptValue(kgo.GreedyAutoCommit) == true:
		return greedyAuto
	case native.OptValue(kgo.AutoCommitMarks) == true:
		return markedAuto
	}
	return plainAuto
}

func (p *progress) tracks() bool { return p.mode == plainAuto || p.mode == markedAuto }

// settle is for the beginning of a poll: what was delivered is processed.
func (p *progress) settle(native *kgo.Client) {
	if !p.tracks() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.processed == nil {
		p.processed = map[kit.Place]kgo.EpochOffset{}
	}
	for place, last := range p.delivered {
		p.processed[place] = behind(last)
		if p.mode == markedAuto {
			native.MarkCommitRecords(last)
		}
	}
	clear(p.delivered)
}

func (p *progress) deliver(fetches kgo.Fetches) {
	if !p.tracks() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.delivered == nil {
		p.delivered = map[kit.Place]*kgo.Record{}
	}
	fetches.EachPartition(func(of kgo.FetchTopicPartition) {
		if count := len(of.Records); count > 0 {
			p.delivered[kit.Place{Topic: of.Topic, Partition: of.Partition}] = of.Records[count-1]
		}
	})
}

// behind is what is committed of a record that is processed.
func behind(record *kgo.Record) kgo.EpochOffset {
	return kgo.EpochOffset{Epoch: record.LeaderEpoch, Offset: record.Offset + 1}
}

// seek moves what is committed, as kgo does.
func (p *progress) seek(to map[string]map[int32]kgo.EpochOffset) {
	if !p.tracks() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for topic, partitions := range to {
		for partition := range partitions {
			place := kit.Place{Topic: topic, Partition: partition}
			delete(p.delivered, place)
			delete(p.processed, place)
		}
	}
}

// drop forgets partitions that are gone.
func (p *progress) drop(of map[string][]int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, place := range places(of) {
		delete(p.delivered, place)
		delete(p.processed, place)
	}
}

type commitCallback func(
	*kgo.Client, *kmsg.OffsetCommitRequest, *kmsg.OffsetCommitResponse, error)

// commit does what kgo's default does when partitions are revoked.
func (p *progress) commit(ctx context.Context, native *kgo.Client, done commitCallback) {
	var wanted map[string]map[int32]kgo.EpochOffset
	switch p.mode {
	case noAuto:
		return
	case greedyAuto:
		wanted = native.UncommittedOffsets()
	case markedAuto:
		wanted = native.MarkedOffsets()
	case plainAuto:
		committed := native.CommittedOffsets()
		p.mu.Lock()
		left := maps.Clone(p.processed)
		p.mu.Unlock()
		maps.DeleteFunc(left, func(place kit.Place, at kgo.EpochOffset) bool {
			has, is := committed[place.Topic][place.Partition]
			return is && has.Offset == at.Offset
		})
		wanted = nested(left)
	}
	if len(wanted) > 0 {
		native.CommitOffsetsSync(ctx, wanted, done)
	}
}

// Partitions in the contract's form and in kgo's.

func places(of map[string][]int32) []kit.Place {
	found := map[kit.Place]bool{}
	for topic, partitions := range of {
		for _, partition := range partitions {
			found[kit.Place{Topic: topic, Partition: partition}] = true
		}
	}
	return sorted(found)
}

func sorted(places map[kit.Place]bool) []kit.Place {
	return slices.SortedFunc(maps.Keys(places), func(a, b kit.Place) int {
		if by := strings.Compare(a.Topic, b.Topic); by != 0 {
			return by
		}
		return int(a.Partition - b.Partition)
	})
}

func byTopic(places []kit.Place) map[string][]int32 {
	found := map[string][]int32{}
	for _, place := range places {
		found[place.Topic] = append(found[place.Topic], place.Partition)
	}
	return found
}

func nested(of map[kit.Place]kgo.EpochOffset) map[string]map[int32]kgo.EpochOffset {
	found := map[string]map[int32]kgo.EpochOffset{}
	for place, at := range of {
		if found[place.Topic] == nil {
			found[place.Topic] = map[int32]kgo.EpochOffset{}
		}
		found[place.Topic][place.Partition] = at
	}
	return found
}

func epochOffsets(positions []kit.Position) map[string]map[int32]kgo.EpochOffset {
	flat := map[kit.Place]kgo.EpochOffset{}
	for _, each := range positions {
		flat[each.Place] = kgo.EpochOffset{Epoch: -1, Offset: each.Offset}
	}
	return nested(flat)
}
