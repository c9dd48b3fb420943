package main

import (
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"kafkalab/driver/kit"
)

// consumeLoop is one `consume` command. Styles:
//
//	poll   PollRecords, and one record after the other; a delivery is what a poll gave
//	batch  PollFetches, and one partition after the other; a delivery is a partition's records of
//	       one fetch
type consumeLoop struct {
	c     *consumer
	loop  *kit.Loop
	spec  *kit.ConsumeSpec
	limit int
	lanes map[kit.Place]*kit.Lane
}

func (c *consumer) consume(command *kit.Command) (kit.Fields, error) {
	loop, spec, err := c.session.Consume(command, "poll", "batch")
	if err != nil {
		return nil, err
	}
	c.looping.Store(loop)
	defer c.looping.Store(nil)
	l := &consumeLoop{
		c: c, loop: loop, spec: spec, limit: spec.Batch, lanes: map[kit.Place]*kit.Lane{},
	}
	if l.limit == 0 {
		l.limit = c.batch
	}
	for !loop.Over() {
		l.deliver(c.receive(loop.Context(), l.limit))
	}
	return loop.Finish(), nil
}

func (l *consumeLoop) deliver(fetches kgo.Fetches) {
	records := 0
	now := kit.Now()
	fetches.EachPartition(func(of kgo.FetchTopicPartition) {
		if len(of.Records) == 0 {
			return
		}
		place := kit.Place{Topic: of.Topic, Partition: of.Partition}
		lane := l.lanes[place]
		if lane == nil {
			lane = l.loop.Lane(of.Topic, of.Partition)
			l.lanes[place] = lane
		}
		for _, record := range of.Records {
			lane.Consumed(now, record.Offset, record.Value)
		}
		lane.Rest()
		records += len(of.Records)
		if l.spec.Style == "batch" {
			last := of.Records[len(of.Records)-1]
			l.finish(len(of.Records), nested(map[kit.Place]kgo.EpochOffset{
				place: behind(last),
			}))
			now = kit.Now()
		}
	})
	if l.spec.Style == "poll" && records > 0 {
		l.finish(records, nil)
	}
}

// finish keeps busy with a delivery and commits it, nil being all that was polled.
func (l *consumeLoop) finish(records int, offsets map[string]map[int32]kgo.EpochOffset) {
	l.loop.Work(l.spec, records)
	if l.c.group == "" || l.spec.Commit != "sync" && l.spec.Commit != "async" {
		return
	}
	native := l.c.native.Load()
	if offsets == nil {
		offsets = native.UncommittedOffsets()
	}
	done := func(
		_ *kgo.Client, r *kmsg.OffsetCommitRequest, a *kmsg.OffsetCommitResponse, err error,
	) {
		if endOfCommit(r, a, err, false).Outcome != kit.OK {
			l.loop.Failed(1)
		}
	}
	if l.spec.Commit == "async" {
		l.c.commitAsync(native, offsets, done)
		return
	}
	native.CommitOffsetsSync(l.c.session.Context(), offsets, done)
}
