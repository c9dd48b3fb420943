package kit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	hdrhistogram "github.com/HdrHistogram/hdrhistogram-go"
)

type idle struct{}

func (idle) Do(*Command) (Fields, error) { return nil, nil }
func (idle) Close() error                { return nil }
func (idle) Observe() Observed           { return Observed{} }

func session() *Session {
	s := newSession(&host{
		wire: newWire(), loops: map[int64]*Loop{}, stopped: map[int64]bool{},
	}, "c0")
	s.client = idle{}
	return s
}

func command(t *testing.T, line string) *Command {
	t.Helper()
	c, err := parse([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func consuming(t *testing.T, more string) *Loop {
	t.Helper()
	line := fmt.Sprintf(`{"id": 1, "op": "consume", "client": "c0", "style": "poll"%s}`, more)
	loop, _, err := session().Consume(command(t, line), "poll")
	if err != nil {
		t.Fatal(err)
	}
	return loop
}

func payload(value uint64, sentNs int64) []byte {
	return Payload(value, 100, -1, sentNs, TopicCRC("t"))
}

func expect[T comparable](t *testing.T, what string, found, expected T) {
	t.Helper()
	if found != expected {
		t.Errorf("%s: expected %v, found %v", what, expected, found)
	}
}

func TestALaneCountsWhatIsIntactAndWhatIsNot(t *testing.T) {
	loop := consuming(t, "")
	lane := loop.Lane("t", 0)
	now := Now()
	broken := payload(5, now)
	broken[50] ^= 1
	foreign := bytes.Repeat([]byte{7}, 40)
	for offset, value := range [][]byte{
		payload(1, now-5000), payload(2, now-5000), broken, nil, []byte("short"), foreign,
		payload(3, now-7000), payload(4, 0),
	} {
		lane.Consumed(now, int64(offset), value)
	}
	lane.Consumed(now, 2, payload(10, now-5000)) // steps back
	lane.Consumed(now, 9, payload(20, now-5000)) // a gap is none
	lane.Consumed(now, 9, payload(30, 0))        // once more
	total := loop.Finish()
	expect(t, "records", total["records"].(int64), 11)
	expect(t, "corrupt", total["corrupt"].(int64), 4)
	expect(t, "out of order", total["out_of_order"].(int64), 2)
	expect(t, "value sum", total["value_sum"].(uint64), 1+2+3+4+10+20+30)
	expect(t, "bytes", total["bytes"].(int64), 700)
	expect(t, "of the partition", total["partitions"].(map[string]int64)["t/0"], 11)
	latencies := decoded(t, total)
	expect(t, "latencies", latencies.TotalCount(), 5) // payload 4 has no time
	expect(t, "of 7 µs", countOf(latencies, 7), 1)
	expect(t, "of 5 µs", countOf(latencies, 5), 4)
	if lane.Consumed(now, 10, payload(1, now)) {
		t.Error("expected a record after the end not to be counted")
	}
}

func TestLatenciesAreCountedWhateverOrderTheyComeIn(t *testing.T) {
	loop := consuming(t, "")
	lanes := []*Lane{loop.Lane("t", 0), loop.Lane("t", 1)}
	expected := newHistogram()
	now := Now()
	for n := range 20_000 {
		us := int64(rand.IntN(3))
		if n%1000 < 300 {
			us = rand.Int64N(1 << 30) // runs, and many that differ: more than a lane keeps
		}
		_ = expected.RecordValue(us)
		lanes[n%2].Consumed(now, int64(n), payload(1, now-us*1000))
	}
	lanes[0].Consumed(now, 20_000, payload(1, now+5_000_000)) // from a clock ahead: none
	_ = expected.RecordValue(0)
	if found := decoded(t, loop.Finish()); !found.Equals(expected) {
		t.Errorf("expected %d values, found %d that differ", expected.TotalCount(), found.TotalCount())
	}
}

func TestALoopEndsWithExactlyItsRecordsWhereTheyAreFew(t *testing.T) {
	loop := consuming(t, `, "max_records": 40`)
	lane := loop.Lane("t", 0)
	for offset := int64(0); !loop.Over() && offset < 100; offset++ {
		lane.Consumed(Now(), offset, payload(1, 0))
	}
	expect(t, "records", loop.Finish()["records"].(int64), 40)
}

func TestALaneThatRestsOwesNothing(t *testing.T) {
	const most = 3 * nearEnd
	loop := consuming(t, fmt.Sprintf(`, "max_records": %d`, most))
	lanes := make([]*Lane, 100)
	for n := range lanes {
		lanes[n] = loop.Lane("t", int32(n))
	}
	counted := int64(0)
	for _, lane := range lanes { // each keeps some to itself
		for offset := range int64(together - 1) {
			lane.Consumed(Now(), offset, payload(1, 0))
			counted++
		}
	}
	expect(t, "told before the rest", loop.counted.Load(), 0)
	for _, lane := range lanes {
		lane.Rest()
	}
	expect(t, "told at rest", loop.counted.Load(), counted)
	for offset := int64(together); !loop.Over() && counted < 2*most; offset++ {
		lanes[0].Consumed(Now(), offset, payload(1, 0))
		counted++
	}
	expect(t, "records", counted, most)
	expect(t, "in the total", loop.Finish()["records"].(int64), most)
}

func TestAPressMakesWhatSinglePayloadsAre(t *testing.T) {
	for _, size := range []int{32, 33, 100, 4096} {
		press := newPress(size, TopicCRC("t"))
		for n := range 2000 {
			record := Paced{Value: uint64(n) * 3, IntendedNs: int64(n / 700), Partition: int32(n / 900)}
			made := press.payload(&record)
			if crc32.ChecksumIEEE(made) != residue {
				t.Fatalf("size %d, record %d: its checksum is wrong", size, n)
			}
			again := Payload(record.Value, size, record.Partition, record.IntendedNs, TopicCRC("t"))
			if !bytes.Equal(made[:fillerAt], again[:fillerAt]) {
				t.Fatalf("size %d, record %d: its header is another", size, n)
			}
		}
	}
}

func TestRecordsOfAClosedLoopShareATimeAndThoseOfAnOpenOneDoNot(t *testing.T) {
	for _, rate := range []float64{0, 1000} {
		loop := consuming(t, "")
		acks := loop.Acks(&ProduceSpec{Topic: "t", Rate: rate})
		times := map[int64]bool{}
		for offset := range int64(together) {
			acks.Add(3, offset, Paced{Size: 100, Value: 1, IntendedNs: Now()})
			times[acks.nowNs] = true
		}
		expect(t, fmt.Sprintf("times at rate %v", rate), len(times) > 1, rate > 0)
		acks.Add(4, together, Paced{Size: 100, Value: 1, IntendedNs: Now()}) // another partition
		expect(t, "new for another partition", times[acks.nowNs], false)
		total := loop.Finish()
		expect(t, "records", total["records"].(int64), together+1)
		expect(t, "of the partition", total["partitions"].(map[string]int64)["t/3"], together)
	}
}

func decoded(t *testing.T, total Fields) *hdrhistogram.Histogram {
	t.Helper()
	text, err := json.Marshal(total["latency_us"])
	if err != nil {
		t.Fatal(err)
	}
	var encoded string
	if err := json.Unmarshal(text, &encoded); err != nil {
		t.Fatal(err)
	}
	histogram, err := hdrhistogram.Decode([]byte(encoded))
	if err != nil {
		t.Fatal(err)
	}
	return histogram
}

func countOf(histogram *hdrhistogram.Histogram, us int64) int64 {
	for _, bar := range histogram.Distribution() {
		if bar.From <= us && us <= bar.To {
			return bar.Count
		}
	}
	return 0
}
