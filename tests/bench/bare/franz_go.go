// franz-go as a program uses it: what the driver's loops are compared with.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type spec struct {
	Op, Bootstrap, Topic string
	Records, Size        int
	Partitions           int32
	Rate                 float64
	WarmRecords          int `json:"warm_records"`
	LingerMs             int `json:"linger_ms"`
}

type found struct {
	Records int     `json:"records"`
	Seconds float64 `json:"seconds"`
	Failed  int64   `json:"failed"`
	P99     float64 `json:"p99_ms,omitempty"`
}

// kept is how many latencies stay in memory: more than an open loop has records. With a large heap
// Go would collect garbage less often than in a program that has none.
const kept = 1 << 16

func main() {
	var s spec
	must(json.Unmarshal([]byte(os.Args[1]), &s))
	run := map[string]func(spec) found{"produce": produce, "consume": consume}[s.Op]
	line, err := json.Marshal(run(s))
	must(err)
	fmt.Println(string(line))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func produce(s spec) found {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(s.Bootstrap),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(time.Duration(s.LingerMs)*time.Millisecond),
	)
	must(err)
	defer client.Close()
	filler := make([]byte, s.Size)
	rand.Read(filler)
	var failed, acked atomic.Int64
	latencies := make([]time.Duration, kept)
	ctx := context.Background()
	began := time.Now()
	for index := range s.Records {
		value := slices.Clone(filler)
		binary.BigEndian.PutUint64(value, uint64(index))
		intended := time.Now()
		if s.Rate > 0 {
			intended = began.Add(time.Duration(float64(index) / s.Rate * 1e9))
			time.Sleep(time.Until(intended))
		}
		record := &kgo.Record{Topic: s.Topic, Value: value}
		client.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Add(1)
			} else {
				latencies[acked.Add(1)%kept] = time.Since(intended)
			}
		})
	}
	must(client.Flush(ctx))
	result := found{Records: s.Records, Seconds: time.Since(began).Seconds(), Failed: failed.Load()}
	if s.Rate > 0 {
		latencies = latencies[s.WarmRecords+1 : acked.Load()+1]
		slices.Sort(latencies)
		result.P99 = float64(latencies[len(latencies)*99/100]) / 1e6
	}
	return result
}

func consume(s spec) found {
	offsets := map[int32]kgo.Offset{}
	for partition := range s.Partitions {
		offsets[partition] = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(s.Bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.Topic: offsets}),
	)
	must(err)
	defer client.Close()
	ctx := context.Background()
	fetches := client.PollRecords(ctx, 1)
	must(fetches.Err())
	first := fetches.NumRecords() // is there before the clock
	began, count, size := time.Now(), 0, 0
	for count < s.Records-first {
		fetches = client.PollRecords(ctx, 500)
		must(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			size += len(record.Key) + len(record.Value)
			count++
		})
	}
	return found{Records: count, Seconds: time.Since(began).Seconds()}
}
