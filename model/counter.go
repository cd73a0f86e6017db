package model

// Counter is how many packets of a NIC met a reason. NIC 0 stands for packets that no NIC can be named for.
type Counter struct {
	NIC     uint32 `json:"nic"`
	Reason  Reason `json:"reason"`
	Packets uint64 `json:"packets"`
}

// MarshalText writes the reason's name.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a reason's name; an unknown one becomes ReasonNone.
func (r *Reason) UnmarshalText(text []byte) error {
	*r = ReasonNone
	for reason, name := range reasonNames {
		if name == string(text) {
			*r = Reason(reason)
		}
	}
	return nil
}
