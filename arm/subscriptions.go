package arm

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"postern/model"
	"postern/resource"
)

// list is the form of every collection.
type list struct {
	Value    any    `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
}

type tenant struct {
	ID          string `json:"id"`
	TenantID    string `json:"tenantId"`
	DisplayName string `json:"displayName"`
	Category    string `json:"tenantCategory"`
}

func listTenants(r *request) (int, any, error) {
	id := r.door.Tenant
	return http.StatusOK, list{Value: []tenant{{ID: "/tenants/" + id, TenantID: id, DisplayName: "Postern", Category: "Home"}}}, nil
}

type subscription struct {
	ID             string            `json:"id"`
	SubscriptionID string            `json:"subscriptionId"`
	TenantID       string            `json:"tenantId"`
	DisplayName    string            `json:"displayName"`
	State          string            `json:"state"`
	Policies       map[string]string `json:"subscriptionPolicies"`
	Source         string            `json:"authorizationSource"`
	ManagedBy      []string          `json:"managedByTenants"`
}

func (r *request) subscription(id string) subscription {
	name := "Postern " + id
	if id == resource.DefaultSubscription {
		name = "Postern"
	}
	return subscription{ID: "/subscriptions/" + id, SubscriptionID: id, TenantID: r.door.Tenant, DisplayName: name, State: "Enabled",
		Policies: map[string]string{"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"},
		Source:   "RoleBased", ManagedBy: []string{}}
}

// subscriptions are the default one and all that have resources.
func (r *request) subscriptions() ([]string, error) {
	cloud, err := r.door.Cache.Current(r.Context())
	if err != nil {
		return nil, err
	}
	found := map[string]bool{resource.DefaultSubscription: true}
	for _, record := range cloud.Records("") {
		if id, err := resource.ParseID(record.ID); err == nil {
			found[strings.ToLower(id.Subscription)] = true
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

func listSubscriptions(r *request) (int, any, error) {
	ids, err := r.subscriptions()
	if err != nil {
		return 0, nil, err
	}
	value := []subscription{}
	for _, id := range ids {
		if r.may(readSubscription, "/subscriptions/"+id) {
			value = append(value, r.subscription(id))
		}
	}
	return http.StatusOK, list{Value: value}, nil
}

func getSubscription(r *request) (int, any, error) {
	return http.StatusOK, r.subscription(strings.ToLower(r.at.subscription)), nil
}

type location struct {
	ID                  string           `json:"id"`
	Name                string           `json:"name"`
	Type                string           `json:"type"`
	DisplayName         string           `json:"displayName"`
	RegionalDisplayName string           `json:"regionalDisplayName"`
	Metadata            locationMetadata `json:"metadata"`
}

type locationMetadata struct {
	RegionType     string              `json:"regionType"`
	RegionCategory string              `json:"regionCategory"`
	Paired         []map[string]string `json:"pairedRegion,omitempty"`
}

// locations are the regions that Storage has prefixes in, by the service tags, and those that nodes stand in.
func (r *request) locations() ([]model.Location, error) {
	cloud, err := r.door.Cache.Current(r.Context())
	if err != nil {
		return nil, err
	}
	catalogue, err := r.door.Catalogue(r.Context())
	if err != nil {
		return nil, err
	}
	return cloud.Regions(catalogue.Regions("Storage")), nil
}

func listLocations(r *request) (int, any, error) {
	regions, err := r.locations()
	if err != nil {
		return 0, nil, err
	}
	value := []location{}
	for _, region := range regions {
		one := location{ID: "/subscriptions/" + r.at.subscription + "/locations/" + string(region), Name: string(region), Type: "Region",
			DisplayName: string(region), RegionalDisplayName: string(region), Metadata: locationMetadata{RegionType: "Physical", RegionCategory: "Recommended"}}
		if pair := model.RegionPair(region); pair != "" {
			one.Metadata.Paired = []map[string]string{{"name": string(pair), "id": "/subscriptions/" + r.at.subscription + "/locations/" + string(pair)}}
		}
		value = append(value, one)
	}
	return http.StatusOK, list{Value: value}, nil
}
