package main

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
	"kafkalab/driver/kit"
)

// options are kgo's functions that make an Opt, by their names, and releases those of kversion.
// Versions differ in them, and Go cannot ask a package for a function at run time, so `go generate`
// (detect.go) writes options_found.go, which adds those of the version that is about to be linked.
// Without that step there are none: the driver builds with any version, and refuses them.
var (
	options  = map[string]any{}
	releases = map[string]func() *kversion.Versions{}
)

const serverSide = "ServerSideBalancer"

// option makes an Opt from its name and what its function takes: true for one that takes nothing, a
// list for one that takes several.
func option(name string, raw json.RawMessage) (kgo.Opt, error) {
	function, has := options[name]
	if !has {
		return nil, kit.Refusef("option '%s': this version of kgo has no such function", name)
	}
	call := reflect.ValueOf(function)
	arguments, err := read(call.Type(), raw)
	if err != nil {
		return nil, kit.Refusef("option '%s': %v", name, err)
	}
	if call.Type().IsVariadic() {
		return call.CallSlice(arguments)[0].Interface().(kgo.Opt), nil
	}
	return call.Call(arguments)[0].Interface().(kgo.Opt), nil
}

// read gives the arguments of a function from JSON.
func read(function reflect.Type, raw json.RawMessage) ([]reflect.Value, error) {
	members := []json.RawMessage{raw}
	switch count := function.NumIn(); {
	case count == 0 && string(raw) != "true":
		return nil, kit.Refusef("expected true, found %s", raw)
	case count == 0:
		return nil, nil
	case count > 1:
		if err := json.Unmarshal(raw, &members); err != nil {
			return nil, err
		}
		if len(members) != count {
			return nil, kit.Refusef("expected a list of %d, found %s", count, raw)
		}
	}
	var arguments []reflect.Value
	for index, member := range members {
		argument := reflect.New(function.In(index)).Elem()
		if err := convert(argument, member); err != nil {
			return nil, err
		}
		arguments = append(arguments, argument)
	}
	return arguments, nil
}

// convert reads JSON into an argument; what JSON does not have is given by name.
func convert(target reflect.Value, raw json.RawMessage) error {
	if is, err := secure(target.Addr().Interface(), raw); is {
		return err
	}
	if is, err := word(target.Addr().Interface(), raw); is {
		return err
	}
	if duration, is := target.Addr().Interface().(*time.Duration); is {
		return readDuration(duration, raw)
	}
	switch target.Kind() {
	case reflect.Func, reflect.Interface, reflect.Chan:
		return kit.Refusef("a %s cannot be given from outside", target.Type())
	case reflect.Slice:
		return convertAll(target, raw)
	}
	return json.Unmarshal(raw, target.Addr().Interface())
}

func convertAll(target reflect.Value, raw json.RawMessage) error {
	var members []json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	for _, member := range members {
		each := reflect.New(target.Type().Elem()).Elem()
		if err := convert(each, member); err != nil {
			return err
		}
		target.Set(reflect.Append(target, each))
	}
	return nil
}

func readDuration(target *time.Duration, raw json.RawMessage) error {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return json.Unmarshal(raw, (*int64)(target))
	}
	parsed, err := time.ParseDuration(text)
	*target = parsed
	return err
}
