package resource

import "testing"

// TestWatchers covers that a region of a subscription has one network watcher.
func TestWatchers(t *testing.T) {
	cloud := must(t, sample(t), `put networkWatchers/we {"location":"westeurope"}`, `put networkWatchers/ne {"location":"northeurope"}`)
	cloud = must(t, cloud, `put networkWatchers/we {"location":"West Europe","tags":{"a":"b"}}`)
	_, err := change(t, cloud, `put networkWatchers/second {"location":"westeurope"}`)
	refused(t, err, "NetworkWatcherCountLimitReached", "location")
	_, err = change(t, cloud, `put networkWatchers/we {"location":"northeurope"}`)
	refused(t, err, "InvalidResourceLocation", "location")
	must(t, cloud, `delete networkWatchers/we`, `put networkWatchers/second {"location":"westeurope"}`)
}
