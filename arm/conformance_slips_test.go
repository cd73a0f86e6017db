package arm_test

import (
	"strings"

	"postern/resource/sdktest"
)

// slip is a member of a documented answer that does not follow from the example's own call, or that Azure does not
// answer so.
type slip struct {
	member string // its path, or the beginning of the refusal
	reason string
	used   bool // by this run
}

// The reasons that several examples share.
const (
	halfPeering = "Azure answers RemoteNotInSync while a peering is Initiated"
	noTimeout   = "the request has no timeout, and 4 minutes are Azure's default"
)

// slips are by the examples' names. One that no longer shows fails the test.
var slips = map[string][]slip{
	"NatGatewaysClient_BeginCreateOrUpdate_createNatGateway": {{member: "properties.idleTimeoutInMinutes", reason: noTimeout}},
}

// excused parts the differences of an example: those that remain, and those that its slips explain.
func excused(example sdktest.Example, differences []string) (remaining, explained []string) {
	for _, difference := range differences {
		kept := true
		list := slips[strings.TrimPrefix(example.Name, "Example")]
		for i := range list {
			if strings.HasPrefix(difference, "`"+list[i].member+"`") || strings.HasPrefix(difference, list[i].member) {
				list[i].used, kept = true, false
				explained = append(explained, difference+": "+list[i].reason)
				break
			}
		}
		if kept {
			remaining = append(remaining, difference)
		}
	}
	return remaining, explained
}
