package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// settings are a client's configuration, from the contract's words and its own.
type settings struct {
	*sarama.Config
	addresses []string
	group     string
	batch     int // most records that a poll gives
}

const batchDefault = 500 // as in other clients; sarama gives records one by one

// words is the contract's portable configuration as fields of sarama.Config, where a value goes
// there as it is. What is not here is translated in portable, or refused.
var words = map[string]map[string]string{
	"consumer": {
		"instance_id":               "Consumer.Group.InstanceId",
		"auto_commit":               "Consumer.Offsets.AutoCommit.Enable",
		"fetch_min_bytes":           "Consumer.Fetch.Min",
		"fetch_max_bytes":           "Consumer.Fetch.MaxBytes",
		"max_partition_fetch_bytes": "Consumer.Fetch.Default",
	},
	"producer": {
		"acks":              "Producer.RequiredAcks",
		"idempotence":       "Producer.Idempotent",
		"transactional_id":  "Producer.Transaction.ID",
		"batch_bytes":       "Producer.Flush.Bytes",
		"compression":       "Producer.Compression",
		"max_message_bytes": "Producer.MaxMessageBytes",
	},
	"admin": {},
}

// times are those that the contract gives in milliseconds.
var times = map[string]map[string][]string{
	"consumer": {
		"session_timeout_ms":      {"Consumer.Group.Session.Timeout"},
		"auto_commit_interval_ms": {"Consumer.Offsets.AutoCommit.Interval"},
		"request_timeout_ms":      {"Net.ReadTimeout"},
	},
	"producer": {
		"linger_ms":          {"Producer.Flush.Frequency"},
		"request_timeout_ms": {"Net.ReadTimeout", "Producer.Timeout"},
	},
	"admin": {"request_timeout_ms": {"Net.ReadTimeout", "Admin.Timeout"}},
}

var assignors = map[string]string{
	"range":              "NewBalanceStrategyRange",
	"roundrobin":         "NewBalanceStrategyRoundRobin",
	"cooperative-sticky": "NewBalanceStrategyCooperativeSticky",
}

// needed is what the driver switches on: it reads what sarama returns.
var needed = []string{
	"Producer.Return.Successes", "Producer.Return.Errors", "Consumer.Return.Errors",
}

// configure reads the configuration of an open.
func configure(role string, c *kit.Command) (*settings, error) {
	s := &settings{Config: sarama.NewConfig(), batch: batchDefault}
	bootstrap, err := c.Text("bootstrap")
	if err != nil {
		return nil, err
	}
	s.addresses = strings.Split(bootstrap, ",")
	var config, options map[string]json.RawMessage
	if err := c.Into("config", &config); err != nil {
		return nil, err
	}
	if err := c.Into("options", &options); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if err := s.portable(role, key, config[key]); err != nil {
			return nil, fmt.Errorf("config key '%s': %w", key, err)
		}
	}
	if err := s.imply(config); err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(options)) {
		if slices.Contains(needed, path) && string(options[path]) != "true" {
			return nil, kit.Refusef("option '%s': the driver needs what sarama returns", path)
		}
		if err := set(s.Config, path, options[path]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// portable translates one key.
func (s *settings) portable(role, key string, raw json.RawMessage) error {
	if path, has := words[role][key]; has {
		return set(s.Config, path, raw)
	}
	if paths, has := times[role][key]; has {
		for _, path := range paths {
			if err := set(s.Config, path, milliseconds(raw)); err != nil {
				return err
			}
		}
		return nil
	}
	if role == "consumer" {
		return s.consuming(key, raw)
	}
	return kit.Refusef("sarama has no such setting for a %s", role)
}

func milliseconds(raw json.RawMessage) json.RawMessage {
	return json.RawMessage(strconv.Quote(string(raw) + "ms"))
}

// consuming translates what is not one field.
func (s *settings) consuming(key string, raw json.RawMessage) error {
	if key == "max_poll_records" {
		if err := json.Unmarshal(raw, &s.batch); err != nil || s.batch < 1 {
			return kit.Refusef("expected at least 1, found %s", raw)
		}
		return nil
	}
	var word string
	if err := json.Unmarshal(raw, &word); err != nil {
		return kit.Refusef("sarama has no such setting for a consumer")
	}
	switch key + " " + word {
	case "offset_reset earliest":
		s.Consumer.Offsets.Initial = sarama.OffsetOldest
	case "offset_reset latest":
		s.Consumer.Offsets.Initial = sarama.OffsetNewest
	case "isolation read_committed":
		s.Consumer.IsolationLevel = sarama.ReadCommitted
	case "isolation read_uncommitted":
		s.Consumer.IsolationLevel = sarama.ReadUncommitted
	case "group_protocol classic":
	default:
		return s.grouping(key, word)
	}
	return nil
}

func (s *settings) grouping(key, word string) error {
	switch key {
	case "group":
		s.group = word
		return nil
	case "assignor":
		if made, has := strategy(assignors[word]); has {
			s.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{made}
			return nil
		}
	}
	return kit.Refusef("this version of sarama has no '%s' here", word)
}

// imply sets what sarama wants beside a portable key; options may change it again.
func (s *settings) imply(config map[string]json.RawMessage) error {
	if _, given := config["batch_bytes"]; given && s.Producer.Flush.Frequency == 0 {
		return kit.Refusef(
			"config key 'batch_bytes': sarama only waits for a batch to fill with linger_ms beside it")
	}
	if s.Producer.Transaction.ID != "" {
		s.Producer.Idempotent = true
	}
	if s.Producer.Idempotent {
		s.Net.MaxOpenRequests = 1
		if _, given := config["acks"]; !given {
			s.Producer.RequiredAcks = sarama.WaitForAll
		}
		s.atLeast(sarama.V0_11_0_0)
	}
	if s.Producer.Compression == sarama.CompressionZSTD {
		s.atLeast(sarama.V2_1_0_0)
	}
	if s.Consumer.Group.InstanceId != "" {
		s.atLeast(sarama.V2_3_0_0)
	}
	if string(config["assignor"]) == `"cooperative-sticky"` {
		s.atLeast(sarama.V2_4_0_0)
	}
	return nil
}

// atLeast raises the protocol version that sarama assumes, where its default lacks what was asked
// for: it refuses such a configuration else.
func (s *settings) atLeast(version sarama.KafkaVersion) {
	if !s.Version.IsAtLeast(version) {
		s.Version = version
	}
}
