package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"kafkalab/driver/kit"
)

// settings are a client's configuration, from the contract's words and its own.
type settings struct {
	opts  []kgo.Opt
	group bool
	batch int // most records that a poll gives, 0 for no limit
}

// translate makes an option of a portable value.
type translate = func(json.RawMessage) (kgo.Opt, error)

// words is the contract's portable configuration as options of kgo, where a value goes there as it
// is. What is not here is translated below, or refused.
var words = map[string]map[string]translate{
	"consumer": {
		"group":                     one(kgo.ConsumerGroup),
		"instance_id":               one(kgo.InstanceID),
		"auto_commit_interval_ms":   milliseconds(kgo.AutoCommitInterval),
		"session_timeout_ms":        milliseconds(kgo.SessionTimeout),
		"fetch_min_bytes":           one(kgo.FetchMinBytes),
		"fetch_max_bytes":           one(kgo.FetchMaxBytes),
		"max_partition_fetch_bytes": one(kgo.FetchMaxPartitionBytes),
		"request_timeout_ms":        milliseconds(kgo.RequestTimeoutOverhead),
		"offset_reset": among(map[string]kgo.Opt{
			"earliest": kgo.ConsumeResetOffset(offsets["AtStart"]),
			"latest":   kgo.ConsumeResetOffset(offsets["AtEnd"]),
			"none":     kgo.ConsumeResetOffset(offsets["NoResetOffset"]),
		}),
		"isolation": among(map[string]kgo.Opt{
			"read_committed":   kgo.FetchIsolationLevel(kgo.ReadCommitted()),
			"read_uncommitted": kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
		}),
	},
	"producer": {
		"transactional_id":    one(kgo.TransactionalID),
		"linger_ms":           milliseconds(kgo.ProducerLinger),
		"delivery_timeout_ms": milliseconds(kgo.RecordDeliveryTimeout),
		"request_timeout_ms":  milliseconds(kgo.ProduceRequestTimeout),
		"queue_max_records":   one(kgo.MaxBufferedRecords),
		"compression": among(map[string]kgo.Opt{
			"none":   kgo.ProducerBatchCompression(kgo.NoCompression()),
			"gzip":   kgo.ProducerBatchCompression(kgo.GzipCompression()),
			"snappy": kgo.ProducerBatchCompression(kgo.SnappyCompression()),
			"lz4":    kgo.ProducerBatchCompression(kgo.Lz4Compression()),
			"zstd":   kgo.ProducerBatchCompression(kgo.ZstdCompression()),
		}),
	},
}

func one[T any, O kgo.Opt](make func(T) O) translate {
	return func(raw json.RawMessage) (kgo.Opt, error) {
		var value T
		err := json.Unmarshal(raw, &value)
		return make(value), err
	}
}

func milliseconds[O kgo.Opt](make func(time.Duration) O) translate {
	return one(func(ms float64) O { return make(time.Duration(ms * 1e6)) })
}

func among(all map[string]kgo.Opt) translate {
	return func(raw json.RawMessage) (found kgo.Opt, err error) {
		return found, pick(&found, raw, all)
	}
}

// configure reads the configuration of an open.
func configure(role string, c *kit.Command) (*settings, error) {
	bootstrap, err := c.Text("bootstrap")
	if err != nil {
		return nil, err
	}
	s := &settings{opts: []kgo.Opt{
		kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.WithLogger(levels["info"]),
	}}
	var config, own map[string]json.RawMessage
	if err := c.Into("config", &config); err != nil {
		return nil, err
	}
	if err := c.Into("options", &own); err != nil {
		return nil, err
	}
	_, s.group = config["group"]
	if _, given := own["ConsumerGroup"]; given {
		s.group = true
	}
	for _, key := range sortedKeys(config) {
		made, err := s.portable(role, key, config)
		if err != nil {
			return nil, fmt.Errorf("config key '%s': %w", key, kit.Refusef("%v", err))
		}
		s.opts = append(s.opts, made...)
	}
	for _, name := range sortedKeys(own) {
		made, err := option(name, own[name])
		if err != nil {
			return nil, err
		}
		s.opts = append(s.opts, made)
	}
	return s, nil
}

// portable translates one key.
func (s *settings) portable(
	role, key string, config map[string]json.RawMessage,
) ([]kgo.Opt, error) {
	if make, has := words[role][key]; has {
		made, err := make(config[key])
		return []kgo.Opt{made}, err
	}
	if role == "consumer" {
		return s.consuming(key, config)
	}
	return producing(key, config)
}

func (s *settings) consuming(key string, config map[string]json.RawMessage) ([]kgo.Opt, error) {
	switch key {
	case "max_poll_records":
		return nil, json.Unmarshal(config[key], &s.batch)
	case "auto_commit":
		var auto bool
		err := json.Unmarshal(config[key], &auto)
		switch {
		case auto && !s.group:
			return nil, kit.Refusef("kgo commits by itself in a group only")
		case auto || !s.group: // as it is
			return nil, err
		}
		return []kgo.Opt{kgo.DisableAutoCommit()}, err
	case "group_protocol":
		return grouping(config)
	case "assignor":
		if string(config["group_protocol"]) == `"consumer"` {
			return nil, nil // see there
		}
		return balancing(config["assignor"], map[string]kgo.Opt{
			"range":              kgo.Balancers(kgo.RangeBalancer()),
			"roundrobin":         kgo.Balancers(kgo.RoundRobinBalancer()),
			"cooperative-sticky": kgo.Balancers(kgo.CooperativeStickyBalancer()),
		})
	}
	return nil, kit.Refusef("kgo has no such setting for a consumer")
}

func balancing(raw json.RawMessage, all map[string]kgo.Opt) ([]kgo.Opt, error) {
	made, err := among(all)(raw)
	return []kgo.Opt{made}, err
}

// grouping chooses the protocol. Assignors of brokers have kgo's names of its own of the same kind;
// with any other it would use the classic protocol without a word.
func grouping(config map[string]json.RawMessage) ([]kgo.Opt, error) {
	var protocol string
	if err := json.Unmarshal(config["group_protocol"], &protocol); err != nil {
		return nil, err
	}
	function, has := options[serverSide].(func() kgo.GroupOpt)
	switch {
	case protocol == "classic":
		return nil, nil
	case protocol != "consumer" || !has:
		return nil, kit.Refusef("this version of kgo has no protocol '%s'", protocol)
	}
	uniform := kgo.Balancers(kgo.StickyBalancer())
	if _, given := config["assignor"]; !given {
		return []kgo.Opt{function(), uniform}, nil
	}
	made, err := balancing(config["assignor"], map[string]kgo.Opt{
		"range": kgo.Balancers(kgo.RangeBalancer()),
	})
	if err != nil {
		return nil, fmt.Errorf("assignor: %w", err)
	}
	return append(made, function()), nil
}

// producing translates what depends on another key, or sets more than one option.
func producing(key string, config map[string]json.RawMessage) ([]kgo.Opt, error) {
	idempotence, given := config["idempotence"]
	switch key {
	case "acks":
		wanted, has := map[string]kgo.Acks{
			"0": kgo.NoAck(), "1": kgo.LeaderAck(), "-1": kgo.AllISRAcks(),
		}[string(config[key])]
		if !has {
			return nil, kit.Refusef("expected 0, 1 or -1, found %s", config[key])
		}
		made := kgo.RequiredAcks(wanted)
		if given || wanted == kgo.AllISRAcks() {
			return []kgo.Opt{made}, nil
		}
		return []kgo.Opt{made, kgo.DisableIdempotentWrite()}, nil // kgo asks for it, too
	case "idempotence":
		if string(idempotence) == "true" {
			return nil, nil // as it is; kgo refuses other acks
		}
		return []kgo.Opt{kgo.DisableIdempotentWrite()}, nil
	case "batch_bytes", "max_message_bytes":
		other := map[string]string{
			"batch_bytes": "max_message_bytes", "max_message_bytes": "batch_bytes",
		}[key]
		if raw, both := config[other]; both && string(raw) != string(config[key]) {
			return nil, kit.Refusef("kgo has one limit for both, found another '%s'", other)
		}
		made, err := one(kgo.ProducerBatchMaxBytes)(config[key])
		return []kgo.Opt{made}, err
	}
	return nil, kit.Refusef("kgo has no such setting for a producer")
}

func sortedKeys[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }
