package kit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Command is one command of the lab.
type Command struct {
	ID int64
	Op string

	fields  map[string]json.RawMessage
	session *Session
	after   []func()
}

// needed are the fields without which a command is refused, beside `id`, `op` and `client`.
var needed = map[string][]string{
	"open":             {"role", "bootstrap"},
	"send":             {"topic", "records"},
	"subscribe":        {"topics"},
	"assign":           {"partitions"},
	"poll":             {"max_records", "timeout_ms"},
	"commit":           {"mode"},
	"committed":        {"partitions"},
	"position":         {"partitions"},
	"seek":             {"offsets"},
	"pause":            {"partitions"},
	"resume":           {"partitions"},
	"txn":              {"action"},
	"close":            {"timeout_ms"},
	"create_topic":     {"topic", "partitions", "replication"},
	"describe_cluster": {},
	"end_offsets":      {"partitions"},
	"group_offsets":    {"group", "partitions"},
	"produce":          {"topic", "record_bytes"},
	"consume":          {"style"},
}

// parse reads a line as far as it can: what was read is returned with the error, to answer to.
func parse(line []byte) (*Command, error) {
	command := &Command{}
	if err := json.Unmarshal(line, &command.fields); err != nil || command.fields == nil {
		return nil, Refusef("expected a JSON object, found %.200q", line)
	}
	for _, name := range []string{"id", "op"} {
		if _, given := command.fields[name]; !given {
			return command, Refusef("expected the field '%s'", name)
		}
	}
	if err := command.Into("op", &command.Op); err != nil {
		return command, err
	}
	return command, nil
}

// check refuses a command that no client could carry out.
func (c *Command) check() error {
	fields, known := needed[c.Op]
	if !known {
		return Refusef("unknown op '%s'", c.Op)
	}
	if err := c.Into("id", &c.ID); err != nil {
		return err
	}
	for _, name := range append([]string{"client"}, fields...) {
		if _, given := c.fields[name]; !given {
			return Refusef("%s: expected the field '%s'", c.Op, name)
		}
	}
	return nil
}

// Has tells whether a field is there and not null.
func (c *Command) Has(name string) bool {
	raw, given := c.fields[name]
	return given && !bytes.Equal(raw, []byte("null"))
}

// Into reads a field; one that is absent or null leaves the target as it is.
func (c *Command) Into(name string, target any) error {
	if !c.Has(name) {
		return nil
	}
	if err := json.Unmarshal(c.fields[name], target); err != nil {
		return Refusef("%s: field '%s': %v, found %.200s", c.Op, name, err, c.fields[name])
	}
	return nil
}

// Text is a field that holds a string, "" where it is absent.
func (c *Command) Text(name string) (string, error) {
	var text string
	err := c.Into(name, &text)
	return text, err
}

// Place is a partition of a topic.
type Place struct {
	Topic     string
	Partition int32
}

// String is how a loop's totals name it.
func (p Place) String() string { return p.Topic + "/" + strconv.Itoa(int(p.Partition)) }

// MarshalJSON gives [topic, partition].
func (p Place) MarshalJSON() ([]byte, error) { return json.Marshal([]any{p.Topic, p.Partition}) }

// Position is an offset in a partition; [NoOffset] where the contract has null or −1.
type Position struct {
	Place
	Offset int64
}

// NoOffset stands for an offset that is not there.
const NoOffset int64 = -1

// MarshalJSON gives [topic, partition, offset].
func (p Position) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{p.Topic, p.Partition, p.Offset})
}

// UnmarshalJSON reads [topic, partition] or [topic, partition, offset or null].
func (p *Position) UnmarshalJSON(data []byte) error {
	p.Offset = NoOffset
	return tuple(data, &p.Topic, &p.Partition, &p.Offset)
}

// tuple reads an array member by member; a null, or a member that is not there, leaves its target.
func tuple(data []byte, targets ...any) error {
	var members []json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	if len(members) > len(targets) {
		return fmt.Errorf("expected at most %d members", len(targets))
	}
	for index, member := range members {
		if err := json.Unmarshal(member, targets[index]); err != nil {
			return err
		}
	}
	return nil
}

// Positions reads a list of partitions, with or without offsets.
func (c *Command) Positions(name string) ([]Position, error) {
	var found []Position
	err := c.Into(name, &found)
	return found, err
}

// Places reads a list of partitions.
func (c *Command) Places(name string) ([]Place, error) {
	positions, err := c.Positions(name)
	places := make([]Place, 0, len(positions))
	for _, each := range positions {
		places = append(places, each.Place)
	}
	return places, err
}

// After runs something once the completion of this command was written: what a program does with
// the answer in its hands. Call it from Do.
func (c *Command) After(do func()) { c.after = append(c.after, do) }

// Answer completes a command that Do left for later; err is described when the outcome is not ok.
func (c *Command) Answer(outcome Outcome, fields Fields, err error) {
	c.session.answer(c, outcome, fields, err)
}
