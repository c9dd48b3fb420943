// sarama as a program uses it: what the driver's loops are compared with.
package main

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/IBM/sarama"
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
	Failed  int     `json:"failed"`
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
	config := sarama.NewConfig()
	config.Version = sarama.V0_11_0_0
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Flush.Frequency = time.Duration(s.LingerMs) * time.Millisecond
	config.Producer.Return.Successes = true
	producer, err := sarama.NewAsyncProducer([]string{s.Bootstrap}, config)
	must(err)
	filler := make([]byte, s.Size)
	rand.Read(filler)
	failed, done := 0, make(chan struct{})
	latencies := make([]time.Duration, 0, kept)
	go func() {
		for range producer.Errors() {
			failed++
		}
	}()
	go func() {
		defer close(done)
		for message := range producer.Successes() {
			if len(latencies) == kept {
				latencies = latencies[:0]
			}
			latencies = append(latencies, time.Since(message.Metadata.(time.Time)))
		}
	}()
	began := time.Now()
	for index := range s.Records {
		value := slices.Clone(filler)
		binary.BigEndian.PutUint64(value, uint64(index))
		intended := time.Now()
		if s.Rate > 0 {
			intended = began.Add(time.Duration(float64(index) / s.Rate * 1e9))
			time.Sleep(time.Until(intended))
		}
		producer.Input() <- &sarama.ProducerMessage{
			Topic: s.Topic, Value: sarama.ByteEncoder(value), Metadata: intended,
		}
	}
	producer.AsyncClose()
	<-done
	result := found{Records: s.Records, Seconds: time.Since(began).Seconds(), Failed: failed}
	if s.Rate > 0 {
		latencies = latencies[s.WarmRecords:]
		slices.Sort(latencies)
		result.P99 = float64(latencies[len(latencies)*99/100]) / 1e6
	}
	return result
}

// consume reads each partition on a goroutine of its own, where sarama gives its records.
func consume(s spec) found {
	consumer, err := sarama.NewConsumer([]string{s.Bootstrap}, sarama.NewConfig())
	must(err)
	defer consumer.Close()
	given := make(chan int, 1024)
	for partition := range s.Partitions {
		native, err := consumer.ConsumePartition(s.Topic, partition, sarama.OffsetOldest)
		must(err)
		go func() {
			count, size := 0, 0
			for message := range native.Messages() {
				size += len(message.Key) + len(message.Value)
				if count++; count == 100 || len(native.Messages()) == 0 {
					given <- count
					count = 0
				}
			}
		}()
	}
	first := <-given // is there before the clock
	began, count := time.Now(), 0
	for count < s.Records-first {
		count += <-given
	}
	return found{Records: count, Seconds: time.Since(began).Seconds()}
}
