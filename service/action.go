package service

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"postern/model"
)

// Action is a request about a service's resources beside those that all resources have, such as POST …/listKeys. It takes
// the right that its method and path name, as Azure's do, or Right.
type Action struct {
	Method string

	// Path stands behind /providers/, with a star for each name: "Microsoft.Storage/storageAccounts/*/listKeys". When it
	// begins with a type of the service and a star, it is about that resource, which must be there.
	Path  string
	Right string

	// Tenant: the path has no subscription. Names: who has any role in the subscription may ask; it tells of names alone.
	Tenant, Names bool

	// Answer is the body of an answer with 200; nil: none. An error about what was asked is a *Refusal.
	Answer func(*Call) (any, error)
}

// Call is a request for an Action.
type Call struct {
	Subscription string
	ID           model.ResourceID // of what the path names, without the action
	Names        []string         // at the path's stars
	Query        url.Values
	Settings     *model.Settings

	// Body reads the body, a JSON object; its errors are to be handed on.
	Body func() (json.RawMessage, error)

	// Object is ARM's answer about the resource that the path is about, and Keys are its shared keys (Type.Keys). Host is
	// its name in the zone of a sub-service.
	Object map[string]any
	Keys   [2]string
	Host   func(part string) string

	// Taken tells whether an instance has a name in the service's space.
	Taken func(name string) bool

	// RenewKey makes the key 0 or 1 anew; Keys has it when it is in force. Change patches the resource with properties,
	// and answers it as it stands when that is in force.
	RenewKey func(number int) error
	Change   func(properties map[string]any) (map[string]any, error)
}

// Read decodes the body. Members that dst does not have are let be.
func (c *Call) Read(dst any) error {
	data, err := c.Body()
	if err != nil {
		return err
	}
	return (&Body{JSON: data}).Read(dst)
}

// Name is the name of the resource that the path is about.
func (c *Call) Name() string { return c.Names[0] }

// Derived is a secret that follows from one of the keys and a label, and tells nothing of the key: length bytes, 64 at most.
func (c *Call) Derived(number int, label string, length int) []byte {
	mac := hmac.New(sha512.New, []byte(c.Keys[number]))
	mac.Write([]byte(label))
	return mac.Sum(nil)[:length]
}

// NameState is what becomes of the question whether a name is free.
type NameState struct {
	Name           string
	Invalid, Taken bool
	Message        string // why it is not; "" when it is
}

// Free tells whether the name can be had.
func (s *NameState) Free() bool { return !s.Invalid && !s.Taken }

// Reason chooses between words for an invalid and a taken name; "" for one that is free.
func (s *NameState) Reason(invalid, taken string) string {
	switch {
	case s.Invalid:
		return invalid
	case s.Taken:
		return taken
	}
	return ""
}

// NameAnswer is the usual answer to the question.
type NameAnswer struct {
	Available bool   `json:"nameAvailable"`
	Reason    string `json:"reason,omitempty"`
	Message   string `json:"message,omitempty"`
}

// UsualName answers in the usual form, with one of the reasons.
func UsualName(invalid, taken string) func(*NameState) any {
	return func(s *NameState) any { return NameAnswer{s.Free(), s.Reason(invalid, taken), s.Message} }
}

// CheckName makes the action that tells whether a name is free for an instance of a type. refuse says what is wrong with a
// name that no instance can have, nil for nothing; taken what is to be said of one that another has.
func CheckName(path, right, typ string, refuse func(name string) *Refusal, taken func(name string, other model.ResourceID) *Refusal,
	answer func(*NameState) any) Action {
	return Action{Method: http.MethodPost, Path: path, Right: right, Names: true, Answer: func(c *Call) (any, error) {
		var question struct {
			Name string `json:"name"`
			Type string `json:"type"`
		}
		if err := c.Read(&question); err != nil {
			return nil, err
		}
		if question.Name == "" {
			return nil, Refuse(CodeInvalidContent, "name", "The body must have the name that is asked about.")
		}
		short := typ[strings.IndexByte(typ, '/')+1:]
		if asked := question.Type; asked != "" && !slices.ContainsFunc([]string{typ, short, strings.TrimSuffix(short, "s")}, func(t string) bool { return strings.EqualFold(t, asked) }) {
			return nil, Refuse(CodeInvalidContent, "type", "The body must have a name and the type %s.", typ)
		}
		state := &NameState{Name: question.Name}
		if refusal := refuse(question.Name); refusal != nil {
			state.Invalid, state.Message = true, refusal.Message
		} else if c.Taken(question.Name) {
			state.Taken, state.Message = true, taken(question.Name, "").Message
		}
		return answer(state), nil
	}}
}

// Empty is an answer with a list of nothing.
var Empty = map[string]any{"value": []any{}}
