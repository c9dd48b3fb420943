package main

import "github.com/twmb/franz-go/pkg/kgo"

// anywhere is the partition of a record that kgo is to place; kgo overwrites it.
const anywhere int32 = -1

// placing lets a record that was given a partition go there, as kgo's manual partitioner would, and
// leaves the rest to the configured one: kgo has one for all records of a producer.
type placing struct{ own kgo.Partitioner }

func (p placing) ForTopic(topic string) kgo.TopicPartitioner {
	own := p.own.ForTopic(topic)
	basic := &basicPlacing{own: own}
	backup, byBackup := own.(kgo.TopicBackupPartitioner)
	notified, byBatch := own.(kgo.TopicPartitionerOnNewBatch)
	// kgo looks which of these a partitioner is.
	switch {
	case byBackup && byBatch:
		return struct {
			backupPlacing
			batchPlacing
		}{backupPlacing{basic, backup}, batchPlacing{basic, notified}}
	case byBackup:
		return backupPlacing{basic, backup}
	case byBatch:
		return struct {
			*basicPlacing
			batchPlacing
		}{basic, batchPlacing{basic, notified}}
	}
	return basic
}

type basicPlacing struct {
	own    kgo.TopicPartitioner
	placed bool // the last record
}

func (p *basicPlacing) RequiresConsistency(record *kgo.Record) bool {
	return record.Partition != anywhere || p.own.RequiresConsistency(record)
}

func (p *basicPlacing) Partition(record *kgo.Record, count int) int {
	if p.placed = record.Partition != anywhere; p.placed {
		return int(record.Partition)
	}
	return p.own.Partition(record, count)
}

type backupPlacing struct {
	*basicPlacing
	backup kgo.TopicBackupPartitioner
}

func (p backupPlacing) PartitionByBackup(
	record *kgo.Record, count int, iterator kgo.TopicBackupIter,
) int {
	if p.placed = record.Partition != anywhere; p.placed {
		return int(record.Partition)
	}
	return p.backup.PartitionByBackup(record, count, iterator)
}

type batchPlacing struct {
	basic *basicPlacing
	own   kgo.TopicPartitionerOnNewBatch
}

// OnNewBatch lets a sticky partitioner move on; a record that was given a partition is none of its.
func (p batchPlacing) OnNewBatch() {
	if !p.basic.placed {
		p.own.OnNewBatch()
	}
}
