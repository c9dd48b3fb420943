package kit

import (
	"math"
	"slices"
	"strings"
	"time"
)

// ProduceSpec is the command of a producing loop.
type ProduceSpec struct {
	Topic      string
	Size       int
	Partitions []int32 // empty: the client's partitioner
	Rate       float64 // records a second; 0: closed loop
	Most       int64   // records to hand over, −1 for no limit
	First      uint64  // value of the first record
}

// ConsumeSpec is the command of a consuming loop.
type ConsumeSpec struct {
	Style  string
	Batch  int // most records of one delivery; 0: as the client was opened
	Work   time.Duration
	Commit string // none, auto, sync, async: after each delivery
}

// Produce reads the command of a producing loop and starts its frame.
func (s *Session) Produce(c *Command) (*Loop, *ProduceSpec, error) {
	spec := &ProduceSpec{Most: -1}
	for name, target := range map[string]any{
		"topic":        &spec.Topic,
		"record_bytes": &spec.Size,
		"partitions":   &spec.Partitions,
		"rate":         &spec.Rate,
		"max_records":  &spec.Most,
		"first_value":  &spec.First,
	} {
		if err := c.Into(name, target); err != nil {
			return nil, nil, err
		}
	}
	if spec.Size < sizeMin {
		return nil, nil, Refusef("record_bytes: expected at least %d, found %d", sizeMin, spec.Size)
	}
	loop, err := s.start(c, -1)
	return loop, spec, err
}

// Consume reads the command of a consuming loop and starts its frame; styles are those that the
// client has.
func (s *Session) Consume(c *Command, styles ...string) (*Loop, *ConsumeSpec, error) {
	spec := &ConsumeSpec{Commit: "none"}
	most, workUs := int64(-1), 0.0
	for name, target := range map[string]any{
		"style":            &spec.Style,
		"max_poll_records": &spec.Batch,
		"work_us":          &workUs,
		"commit":           &spec.Commit,
		"max_records":      &most,
	} {
		if err := c.Into(name, target); err != nil {
			return nil, nil, err
		}
	}
	spec.Work = time.Duration(workUs * 1e3)
	if !slices.Contains(styles, spec.Style) {
		return nil, nil, Refusef(
			"style: this client has %s, found '%s'", strings.Join(styles, ", "), spec.Style)
	}
	if commits := []string{"none", "auto", "sync", "async"}; !slices.Contains(commits, spec.Commit) {
		return nil, nil, Refusef(
			"commit: expected one of %s, found '%s'", strings.Join(commits, ", "), spec.Commit)
	}
	loop, err := s.start(c, most)
	return loop, spec, err
}

// Paced is a record of a producing loop; a driver keeps it until it is acknowledged.
type Paced struct {
	IntendedNs int64
	Value      uint64
	Size       int32
	Partition  int32 // −1: the client chooses
}

// together is how many records of a closed loop share their intended time.
const together = 16

// Pace calls hand for each record of a producing loop at its time, until the loop is over or hand
// says that the record was not taken.
//
// The intended time of a record of a closed loop is the moment before it is handed over, or one of
// the few before it; in an open loop it comes from the schedule, however late the loop is.
func (l *Loop) Pace(spec *ProduceSpec, hand func(record Paced, payload []byte) bool) {
	press := newPress(spec.Size, TopicCRC(spec.Topic))
	most := spec.Most
	if most < 0 {
		most = math.MaxInt64
	}
	record := Paced{Value: spec.First, Size: int32(spec.Size), Partition: -1}
	for index := int64(0); index < most && !l.Over(); index++ {
		if spec.Rate > 0 {
			record.IntendedNs = l.beganNs + int64(float64(index)*1e9/spec.Rate)
			if record.IntendedNs >= l.untilNs || !l.wait(record.IntendedNs) {
				return
			}
		} else if index%together == 0 {
			record.IntendedNs = Now()
		}
		if count := int64(len(spec.Partitions)); count > 0 {
			record.Partition = spec.Partitions[index%count]
		}
		if !hand(record, press.payload(&record)) {
			return
		}
		record.Value++
	}
}

// wait until a time has come; false when the loop is over before.
func (l *Loop) wait(untilNs int64) bool {
	for {
		early := untilNs - Now()
		if early <= 0 {
			return true
		}
		time.Sleep(time.Duration(min(early, int64(20*time.Millisecond))))
		if l.Over() {
			return false
		}
	}
}

// Work keeps busy as long as a program would with so many records.
func (l *Loop) Work(spec *ConsumeSpec, records int) {
	if spec.Work == 0 {
		return
	}
	until := Now() + int64(spec.Work)*int64(records)
	for Now() < until && !l.session.Closing() {
		continue
	}
}
