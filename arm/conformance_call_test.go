package arm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"postern/resource/sdktest"
)

// call makes an example's call through the SDK's real client and answers what the client makes of the server's answer,
// as JSON. Long-running operations are polled to their end and lists read to their last page.
func (c *clients) call(example sdktest.Example, arguments []any) (map[string]any, error) {
	method, err := c.method(example)
	if err != nil {
		return nil, err
	}
	in, err := c.arguments(method.Type(), arguments)
	if err != nil {
		return nil, err
	}
	out := method.Call(in)
	switch {
	case strings.HasSuffix(example.Method, "Pager"):
		return c.pages(out[0])
	case failure(out) != nil:
		return nil, failure(out)
	case strings.HasPrefix(example.Method, "Begin"):
		poller := out[0]
		for !poller.MethodByName("Done").Call(nil)[0].Bool() {
			if err := failure(poller.MethodByName("Poll").Call([]reflect.Value{reflect.ValueOf(c.ctx)})); err != nil {
				return nil, err
			}
		}
		if out = poller.MethodByName("Result").Call([]reflect.Value{reflect.ValueOf(c.ctx)}); failure(out) != nil {
			return nil, failure(out)
		}
	}
	return asJSON(out[0].Interface())
}

// method finds clientFactory.NewXClient().Method.
func (c *clients) method(example sdktest.Example) (reflect.Value, error) {
	for _, factory := range []any{c.network, c.storage} {
		if maker := reflect.ValueOf(factory).MethodByName("New" + example.Client); maker.IsValid() {
			if method := maker.Call(nil)[0].MethodByName(example.Method); method.IsValid() {
				return method, nil
			}
		}
	}
	return reflect.Value{}, fmt.Errorf("the SDK has no %s.%s", example.Client, example.Method)
}

// arguments are an example's as the method takes them.
func (c *clients) arguments(method reflect.Type, arguments []any) ([]reflect.Value, error) {
	var in []reflect.Value
	for i := range method.NumIn() {
		typ := method.In(i)
		if typ.Kind() == reflect.Interface {
			in = append(in, reflect.ValueOf(c.ctx))
			continue
		}
		if len(arguments) == 0 {
			return nil, fmt.Errorf("an argument %s is wanting", typ)
		}
		value := reflect.New(typ)
		data, err := json.Marshal(arguments[0])
		if err == nil {
			err = json.Unmarshal(data, value.Interface())
		}
		if err != nil {
			return nil, fmt.Errorf("make an argument %s: %w", typ, err)
		}
		in, arguments = append(in, value.Elem()), arguments[1:]
	}
	return in, nil
}

// pages is one answer with the elements of all pages.
func (c *clients) pages(pager reflect.Value) (map[string]any, error) {
	var all map[string]any
	for pager.MethodByName("More").Call(nil)[0].Bool() {
		out := pager.MethodByName("NextPage").Call([]reflect.Value{reflect.ValueOf(c.ctx)})
		if err := failure(out); err != nil {
			return nil, err
		}
		page, err := asJSON(out[0].Interface())
		if err != nil {
			return nil, err
		}
		before, _ := all["value"].([]any)
		elements, _ := page["value"].([]any)
		all = page
		all["value"] = slices.Concat(before, elements)
	}
	return all, nil
}

// failure is the error that a method answered last.
func failure(out []reflect.Value) error {
	err, _ := out[len(out)-1].Interface().(error)
	return err
}

func asJSON(value any) (map[string]any, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var object map[string]any
	return object, decoder.Decode(&object)
}
