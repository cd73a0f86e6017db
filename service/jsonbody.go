package service

import (
	"encoding/json"
	"net/http"
)

// JSON is an answer whose body is a value of texts, which marshal always.
func JSON(status int, value any) Response {
	body, err := json.Marshal(value)
	if err != nil {
		panic("service: a refusal does not marshal: " + err.Error())
	}
	return Response{Status: status, Body: body, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}}
}

// Address is the caller's address as refusals write it; "" where it is not known.
func (d *Denial) Address() string {
	if !d.Caller.IsValid() {
		return ""
	}
	return d.Caller.Addr().String()
}
