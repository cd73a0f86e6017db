package gateway

import (
	"math/rand/v2"

	"postern/model"
)

// backends chooses where requests and connections go.
type backends struct{}

func newBackends() *backends { return &backends{} }

// choose picks a backend of a sub-service by weight; false where the instance has none.
func (b *backends) choose(instance *Instance, part string) (string, bool) {
	list := backendsOf(instance, part)
	total := 0
	for _, one := range list {
		total += one.Weight
	}
	if total == 0 {
		return "", false
	}
	at := rand.IntN(total)
	for _, one := range list {
		if at -= one.Weight; at < 0 {
			return one.Address, true
		}
	}
	return "", false
}

// backendsOf are the backends of a sub-service: its own, or else those for all.
func backendsOf(instance *Instance, part string) (list []model.Backend) {
	for _, want := range []string{part, ""} {
		for _, one := range instance.Backends {
			if one.Part == want {
				one.Weight = max(one.Weight, 1)
				list = append(list, one)
			}
		}
		if len(list) > 0 {
			return list
		}
	}
	return nil
}
