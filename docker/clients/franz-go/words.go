package main

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
	"kafkalab/driver/kit"
)

// What kgo's options take that JSON does not have, by the names that kgo gives it.

var acks = map[string]kgo.Acks{
	"NoAck": kgo.NoAck(), "LeaderAck": kgo.LeaderAck(), "AllISRAcks": kgo.AllISRAcks(),
}

var codecs = map[string]kgo.CompressionCodec{
	"NoCompression": kgo.NoCompression(), "GzipCompression": kgo.GzipCompression(),
	"SnappyCompression": kgo.SnappyCompression(), "Lz4Compression": kgo.Lz4Compression(),
	"ZstdCompression": kgo.ZstdCompression(),
}

var isolations = map[string]kgo.IsolationLevel{
	"ReadCommitted": kgo.ReadCommitted(), "ReadUncommitted": kgo.ReadUncommitted(),
}

var balancers = map[string]kgo.GroupBalancer{
	"CooperativeStickyBalancer": kgo.CooperativeStickyBalancer(),
	"StickyBalancer":            kgo.StickyBalancer(),
	"RangeBalancer":             kgo.RangeBalancer(),
	"RoundRobinBalancer":        kgo.RoundRobinBalancer(),
}

// partitioners with the arguments of kgo's own default, where they take some.
var partitioners = map[string]func() kgo.Partitioner{
	"ManualPartitioner":      kgo.ManualPartitioner,
	"RoundRobinPartitioner":  kgo.RoundRobinPartitioner,
	"LeastBackupPartitioner": kgo.LeastBackupPartitioner,
	"StickyPartitioner":      kgo.StickyPartitioner,
	"StickyKeyPartitioner":   func() kgo.Partitioner { return kgo.StickyKeyPartitioner(nil) },
	"UniformBytesPartitioner": func() kgo.Partitioner {
		return kgo.UniformBytesPartitioner(64<<10, true, true, nil)
	},
}

var offsets = map[string]kgo.Offset{
	"AtStart": kgo.NewOffset().AtStart(), "AtEnd": kgo.NewOffset().AtEnd(),
	"NoResetOffset": kgo.NoResetOffset(),
}

var hooks = map[string]kgo.Hook{"observe": observer{}}

var levels = map[string]kgo.Logger{
	"debug": logger(kgo.LogLevelDebug), "info": logger(kgo.LogLevelInfo),
	"warn": logger(kgo.LogLevelWarn), "error": logger(kgo.LogLevelError),
}

func logger(level kgo.LogLevel) kgo.Logger { return kgo.BasicLogger(os.Stderr, level, nil) }

// observer looks at records and leaves them as they are.
type observer struct{}

func (observer) OnProduceRecordBuffered(record *kgo.Record) { _ = record.Topic }
func (observer) OnFetchRecordBuffered(record *kgo.Record)   { _ = record.Offset }

// word reads an argument of these types; false when it is none.
func word(target any, raw json.RawMessage) (bool, error) {
	switch target := target.(type) {
	case *kgo.Acks:
		return true, pick(target, raw, acks)
	case *kgo.CompressionCodec:
		return true, pick(target, raw, codecs)
	case *kgo.IsolationLevel:
		return true, pick(target, raw, isolations)
	case *kgo.GroupBalancer:
		return true, pick(target, raw, balancers)
	case *kgo.Hook:
		return true, pick(target, raw, hooks)
	case *kgo.Logger:
		return true, pick(target, raw, levels)
	case *kgo.Offset:
		var at int64
		if json.Unmarshal(raw, &at) == nil {
			*target = kgo.NewOffset().At(at)
			return true, nil
		}
		return true, pick(target, raw, offsets)
	case *kgo.Partitioner:
		var made func() kgo.Partitioner
		err := pick(&made, raw, partitioners)
		if err == nil {
			*target = made()
		}
		return true, err
	case **kversion.Versions:
		var made func() *kversion.Versions
		err := pick(&made, raw, releases)
		if err == nil {
			*target = made()
		}
		return true, err
	}
	return false, nil
}

func pick[T any](target *T, raw json.RawMessage, all map[string]T) error {
	var name string
	if err := json.Unmarshal(raw, &name); err != nil {
		return err
	}
	found, has := all[name]
	if !has {
		return kit.Refusef(
			"expected one of %s, found '%s'", strings.Join(sortedKeys(all), ", "), name)
	}
	*target = found
	return nil
}
