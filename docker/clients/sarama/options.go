package main

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// set writes a value into a configuration by its dotted path, in the client's own names.
func set(config *sarama.Config, path string, raw json.RawMessage) error {
	target := reflect.ValueOf(config).Elem()
	for _, name := range strings.Split(path, ".") {
		if target.Kind() == reflect.Pointer && target.Type().Elem().Kind() == reflect.Struct {
			if target.IsNil() {
				target.Set(reflect.New(target.Type().Elem()))
			}
			target = target.Elem()
		}
		if target.Kind() != reflect.Struct {
			return unknown(path)
		}
		field, has := target.Type().FieldByName(name)
		if !has || !field.IsExported() {
			return unknown(path)
		}
		target = target.FieldByIndex(field.Index)
	}
	return convert(target, path, raw)
}

func unknown(path string) error {
	return kit.Refusef("option '%s': sarama.Config has no such field in this version", path)
}

// convert reads JSON into a field; what JSON does not have is given by name.
func convert(target reflect.Value, path string, raw json.RawMessage) error {
	is, err := secure(target.Addr().Interface(), raw)
	switch field := target.Addr().Interface().(type) {
	case *time.Duration:
		err = duration(field, raw)
	case *sarama.KafkaVersion:
		err = named(raw, func(text string) (err error) {
			*field, err = sarama.ParseKafkaVersion(text)
			return err
		})
	case *sarama.PartitionerConstructor:
		err = named(raw, func(text string) error {
			made, has := partitioner(text)
			*field = made
			return known(has, text, partitioners)
		})
	case *sarama.BalanceStrategy:
		err = named(raw, func(text string) error {
			made, has := strategy(text)
			*field = made
			return known(has, text, strategies)
		})
	case *[]sarama.BalanceStrategy:
		*field, err = list(raw, strategy, strategies)
	case *[]sarama.ProducerInterceptor:
		*field, err = list(raw, pick[sarama.ProducerInterceptor], interceptors)
	case *[]sarama.ConsumerInterceptor:
		*field, err = list(raw, pick[sarama.ConsumerInterceptor], interceptors)
	case *[]byte:
		err = named(raw, func(text string) error { *field = []byte(text); return nil })
	default:
		if !is {
			err = plain(target, raw)
		}
	}
	if err != nil {
		return kit.Refusef("option '%s': %v", path, err)
	}
	return nil
}

// plain reads what is a number, a word or a truth, or a struct of those.
func plain(target reflect.Value, raw json.RawMessage) error {
	switch target.Kind() {
	case reflect.Func, reflect.Interface, reflect.Chan, reflect.Map:
		return kit.Refusef("a %s cannot be given from outside", target.Type())
	}
	_, textual := target.Addr().Interface().(encoding.TextUnmarshaler)
	if textual && target.CanInt() && raw[0] != '"' { // a codec by its number
		var number int64
		err := json.Unmarshal(raw, &number)
		target.SetInt(number)
		return err
	}
	return json.Unmarshal(raw, target.Addr().Interface())
}

func duration(target *time.Duration, raw json.RawMessage) error {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return json.Unmarshal(raw, (*int64)(target))
	}
	parsed, err := time.ParseDuration(text)
	*target = parsed
	return err
}

func named(raw json.RawMessage, use func(string) error) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	return use(text)
}

func list[T, V any](
	raw json.RawMessage, find func(string) (T, bool), all map[string]V,
) ([]T, error) {
	var names []string
	if err := json.Unmarshal(raw, &names); err != nil {
		return nil, err
	}
	var found []T
	for _, name := range names {
		each, has := find(name)
		if err := known(has, name, all); err != nil {
			return nil, err
		}
		found = append(found, each)
	}
	return found, nil
}

func known[V any](has bool, name string, all map[string]V) error {
	if has {
		return nil
	}
	names := append(slices.Collect(maps.Keys(all)), slices.Collect(maps.Keys(optional))...)
	slices.Sort(names)
	return kit.Refusef("expected one of %s, found '%s'", strings.Join(names, ", "), name)
}

// interceptors that this driver has.
var interceptors = map[string]any{"observe": observer{}}

func pick[T any](name string) (T, bool) {
	found, has := interceptors[name].(T)
	return found, has
}

// observer looks at records and leaves them as they are.
type observer struct{}

func (observer) OnSend(message *sarama.ProducerMessage)    { _ = message.Topic }
func (observer) OnConsume(message *sarama.ConsumerMessage) { _ = message.Offset }
