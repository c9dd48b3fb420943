package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"kafkalab/driver/kit"
)

// commit hands offsets to CommitOffsetsSync or CommitOffsets; without any it is
// UncommittedOffsets, as CommitUncommittedOffsets does.
func (c *consumer) commit(command *kit.Command) (kit.Fields, error) {
	mode, err := command.Text("mode")
	if err != nil {
		return nil, err
	}
	if c.group == "" {
		return nil, kit.Refusef("commit: this consumer has no group")
	}
	native := c.native.Load()
	wanted := native.UncommittedOffsets()
	if command.Has("offsets") {
		positions, err := command.Positions("offsets")
		if err != nil {
			return nil, err
		}
		wanted = epochOffsets(positions)
	}
	broke := c.traffic.since(keyOffsetCommit)
	switch mode {
	case "sync":
		var ended *kit.Ended
		native.CommitOffsetsSync(c.session.Context(), wanted, func(
			_ *kgo.Client, r *kmsg.OffsetCommitRequest, a *kmsg.OffsetCommitResponse, err error,
		) {
			ended = endOfCommit(r, a, err, broke())
		})
		if ended.Outcome == kit.OK {
			return ended.Fields, nil
		}
		return nil, ended
	case "async":
		c.commitAsync(native, wanted, func(
			_ *kgo.Client, r *kmsg.OffsetCommitRequest, a *kmsg.OffsetCommitResponse, err error,
		) {
			ended := endOfCommit(r, a, err, broke())
			command.Answer(ended.Outcome, ended.Fields, ended.Err)
		})
		return nil, kit.ErrLater
	}
	return nil, kit.Refusef("mode: expected sync or async, found '%s'", mode)
}

// commitAsync lets a close interrupt the call, which waits while the group is joined, and not the
// request behind it.
func (c *consumer) commitAsync(
	native *kgo.Client, wanted map[string]map[int32]kgo.EpochOffset, done commitCallback,
) {
	ctx, cancel := context.WithCancel(context.Background())
	stop := context.AfterFunc(c.session.Context(), cancel)
	native.CommitOffsets(ctx, wanted, func(
		client *kgo.Client, r *kmsg.OffsetCommitRequest, a *kmsg.OffsetCommitResponse, err error,
	) {
		cancel()
		done(client, r, a, err)
	})
	stop()
}

// endOfCommit says how a commit ended, partition by partition.
func endOfCommit(
	request *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error, broke bool,
) *kit.Ended {
	if err != nil {
		return &kit.Ended{
			Outcome: outcomeOfRequest(err, broke), Err: err,
			Fields: kit.Fields{"offsets": []kit.Position{}},
		}
	}
	codes := map[kit.Place]int16{}
	for _, topic := range answer.Topics {
		for _, partition := range topic.Partitions {
			codes[kit.Place{Topic: topic.Topic, Partition: partition.Partition}] = partition.ErrorCode
		}
	}
	kept := []kit.Position{}
	certain := true
	var first error
	for _, topic := range request.Topics {
		for _, partition := range topic.Partitions {
			place := kit.Place{Topic: topic.Topic, Partition: partition.Partition}
			code, has := codes[place]
			failed := kerr.ErrorForCode(code)
			if !has {
				failed = errUnanswered
			}
			if failed == nil {
				kept = append(kept, kit.Position{Place: place, Offset: partition.Offset})
				continue
			}
			certain = certain && outcomeOfRequest(failed, broke) == kit.Fail
			if first == nil {
				first = failed
			}
		}
	}
	fields := kit.Fields{"offsets": kept}
	switch {
	case first == nil:
		return &kit.Ended{Outcome: kit.OK, Fields: fields}
	case certain && len(kept) == 0:
		return &kit.Ended{Outcome: kit.Fail, Err: first, Fields: fields}
	}
	return &kit.Ended{Outcome: kit.Info, Err: first, Fields: fields}
}

// committed asks the coordinator: CommittedOffsets is what this member knows of its own commits.
func (c *consumer) committed(command *kit.Command) (kit.Fields, error) {
	places, err := command.Places("partitions")
	if err != nil {
		return nil, err
	}
	if c.group == "" {
		return nil, kit.Refusef("committed: this consumer has no group")
	}
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Group = c.group
	for topic, partitions := range byTopic(places) {
		wanted := kmsg.NewOffsetFetchRequestTopic()
		wanted.Topic, wanted.Partitions = topic, partitions
		request.Topics = append(request.Topics, wanted)
	}
	answer, err := request.RequestWith(c.session.Context(), c.native.Load())
	if err == nil {
		err = kerr.ErrorForCode(answer.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	has := map[kit.Place]int64{}
	for _, topic := range answer.Topics {
		for _, partition := range topic.Partitions {
			if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
				return nil, err
			}
			has[kit.Place{Topic: topic.Topic, Partition: partition.Partition}] = partition.Offset
		}
	}
	found := []kit.Position{}
	for _, place := range places {
		offset, is := has[place]
		if !is {
			return nil, errUnanswered
		}
		found = append(found, kit.Position{Place: place, Offset: offset})
	}
	return kit.Fields{"offsets": found}, nil
}
