package kit

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
)

// Fields are the members of an event, beside `type` and `t`.
type Fields map[string]any

// JSON is a value that is encoded already.
type JSON []byte

// wire is the driver's stdout: one JSON object a line, each written whole.
//
// A pipe that nobody reads blocks the goroutine that reports, and that client with it; nothing is
// dropped.
type wire struct {
	mu  sync.Mutex
	out *os.File
}

var lines = sync.Pool{New: func() any { return new([]byte) }}

// newWire takes stdout for events; whatever else prints goes to stderr.
func newWire() *wire {
	out := os.Stdout
	os.Stdout = os.Stderr
	return &wire{out: out}
}

// emit writes one event, stamped with the time of the call.
func (w *wire) emit(kind string, fields Fields) {
	buffer := lines.Get().(*[]byte)
	line := append((*buffer)[:0], `{"type":"`...)
	line = append(line, kind...)
	line = append(line, `","t":`...)
	line = strconv.AppendInt(line, Now(), 10)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		line = append(line, `,"`...)
		line = append(line, name...)
		line = append(line, `":`...)
		line = appendValue(line, fields[name])
	}
	line = append(line, '}', '\n')
	w.mu.Lock()
	_, err := w.out.Write(line)
	w.mu.Unlock()
	if err != nil {
		os.Exit(1) // the lab is gone
	}
	*buffer = line
	lines.Put(buffer)
}

func appendValue(line []byte, value any) []byte {
	switch value := value.(type) {
	case JSON:
		return append(line, value...)
	case int64:
		return strconv.AppendInt(line, value, 10)
	case string:
		return appendString(line, value)
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		panic("an event that cannot be encoded: " + err.Error()) // a defect of the driver
	}
	return append(line, encoded...)
}

// appendString appends a JSON string; nearly all are plain.
func appendString(line []byte, text string) []byte {
	for index := range len(text) {
		if c := text[index]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			encoded, _ := json.Marshal(text) // strings always encode
			return append(line, encoded...)
		}
	}
	line = append(line, '"')
	line = append(line, text...)
	return append(line, '"')
}
