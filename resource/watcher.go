package resource

import (
	"strings"

	"postern/model"
)

// networkWatcher is Microsoft.Network/networkWatchers: what questions about a region's packets are asked at. It has nothing
// of its own, and no plan knows it.
type networkWatcher struct {
	id       model.ResourceID
	location model.Location
}

func decodeNetworkWatcher(r *Record) (any, error) {
	var body struct{ header }
	if err := leniently(r.Body, &body); err != nil {
		return nil, err
	}
	location, err := body.location()
	return &networkWatcher{model.ResourceID(r.ID), location}, err
}

// networkWatcher refuses a second watcher of one region and subscription.
func (j *judge) networkWatcher(watcher *networkWatcher) error {
	own, err := ParseID(string(watcher.id))
	if err != nil {
		return err
	}
	for _, e := range j.claimants(TypeNetworkWatcher) {
		other := e.noun.(*networkWatcher)
		if other == watcher {
			return nil
		}
		id, err := ParseID(e.record.ID)
		if err == nil && strings.EqualFold(id.Subscription, own.Subscription) && other.location == watcher.location {
			return refuse("NetworkWatcherCountLimitReached", "location", "Cannot create more than 1 network watchers for this subscription in this "+
				"region: %s watches %s already.", other.id, watcher.location)
		}
	}
	return nil
}
