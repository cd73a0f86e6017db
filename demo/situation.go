package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"postern/api/client"
	"postern/examples"
	"postern/resource"
)

// Names in the sample cloud.
const (
	nicApp         = "nic-app"
	nicOther       = "nic-other"
	accountWest    = "stvnetstorageendpoints" // of the VMs' region
	accountGermany = "storagetest1138germany" // of another region
	accountRogue   = "strogue"                // somebody else's
	publicIP       = "pip-app"
	subnetApp      = "Microsoft.Network/virtualNetworks/vnet/subnets/snet-app"

	endpointStorage = "Microsoft.Storage"
	endpointGlobal  = "Microsoft.Storage.Global"
)

// situation is everything about the cloud that the story changes. The zero value is the sample without the VM's public IP.
type situation struct {
	publicIP  bool   // vm-app has its instance-level public IP
	endpoint  string // the service endpoint on snet-app, "" for none
	appliance bool   // snet-app has the route table 0.0.0.0/0 -> 10.10.10.10
	services  bool   // snet-app has the endpoints of every service
	policy    bool   // snet-app has the service endpoint policy with the own account only
	west      rules  // of stvnetstorageendpoints
	germany   rules  // of storagetest1138germany
}

// endpoints are the service endpoints on snet-app, as a body has them; nil for none.
func (s situation) endpoints() (list []any) {
	names := []string{s.endpoint}
	if s.services {
		names = servicesEndpoints
	}
	for _, name := range names {
		if name != "" {
			list = append(list, map[string]any{"service": name})
		}
	}
	return list
}

// rules are an account's network rules.
type rules struct {
	deny      bool     // defaultAction
	addresses []string // ipRules
	appSubnet bool     // virtualNetworkRules has snet-app
}

// arranger writes situations by the API, and of each what changed alone.
type arranger struct {
	api    *client.Client
	sample map[string]resource.Item // by type and name, "storageAccounts/strogue"
	last   map[string][]byte        // bodies as they stand
}

// newArranger applies the whole sample.
func newArranger(ctx context.Context, api *client.Client) (*arranger, error) {
	items, err := resource.Load(examples.CloudName, examples.Cloud)
	if err != nil {
		return nil, err
	}
	if _, err := api.Apply(ctx, items, nil); err != nil {
		return nil, fmt.Errorf("apply %s: %w", examples.CloudName, err)
	}
	a := &arranger{api: api, sample: map[string]resource.Item{}, last: map[string][]byte{}}
	for _, item := range items {
		a.sample[shortName(item.ID)] = item
		a.last[shortName(item.ID)] = item.Body
	}
	return a, nil
}

func shortName(id resource.ID) string {
	return id.Types[len(id.Types)-1] + "/" + id.Name()
}

// arrange makes the cloud as the situation says, in one batch, and returns when every node has applied it.
func (a *arranger) arrange(ctx context.Context, s situation) error { return a.change(ctx, s, nil, nil) }

// change is arrange with other resources in the same batch: some written, some deleted.
func (a *arranger) change(ctx context.Context, s situation, write []resource.Item, remove []resource.ID) error {
	subnet, err := a.with("subnets/snet-app", func(properties map[string]any) {
		if endpoints := s.endpoints(); endpoints != nil {
			properties["serviceEndpoints"] = endpoints
		}
		if s.appliance {
			properties["routeTable"] = a.reference("routeTables/rt-appliance")
		}
		if s.policy {
			properties["serviceEndpointPolicies"] = []any{a.reference("serviceEndpointPolicies/sep-own-account")}
		}
	})
	if err != nil {
		return err
	}
	nic, err := a.with("networkInterfaces/"+nicApp, func(properties map[string]any) {
		if !s.publicIP {
			configuration := properties["ipConfigurations"].([]any)[0].(map[string]any)
			delete(configuration["properties"].(map[string]any), "publicIPAddress")
		}
	})
	if err != nil {
		return err
	}
	west, err := a.account(accountWest, s.west)
	if err != nil {
		return err
	}
	germany, err := a.account(accountGermany, s.germany)
	if err != nil {
		return err
	}
	var changed []resource.Item
	for _, item := range []resource.Item{subnet, nic, west, germany} {
		if name := shortName(item.ID); !bytes.Equal(item.Body, a.last[name]) {
			changed = append(changed, item)
			delete(a.last, name) // unknown until the answer
		}
	}
	if len(changed)+len(write)+len(remove) == 0 {
		return nil
	}
	if _, err := a.api.Apply(ctx, append(changed[:len(changed):len(changed)], write...), remove); err != nil {
		return fmt.Errorf("change the cloud: %w", err)
	}
	for _, item := range changed {
		a.last[shortName(item.ID)] = item.Body
	}
	return nil
}

func (a *arranger) account(name string, r rules) (resource.Item, error) {
	return a.with("storageAccounts/"+name, func(properties map[string]any) {
		acls := map[string]any{"defaultAction": "Allow"}
		if r.deny {
			acls["defaultAction"] = "Deny"
		}
		var addresses, subnets []any
		for _, address := range r.addresses {
			addresses = append(addresses, map[string]any{"value": address, "action": "Allow"})
		}
		if addresses != nil {
			acls["ipRules"] = addresses
		}
		if r.appSubnet {
			subnets = append(subnets, map[string]any{"id": a.sample["subnets/snet-app"].ID.String(), "action": "Allow"})
			acls["virtualNetworkRules"] = subnets
		}
		properties["networkAcls"] = acls
	})
}

// with is a resource of the sample with its properties changed.
func (a *arranger) with(name string, change func(properties map[string]any)) (resource.Item, error) {
	item, ok := a.sample[name]
	if !ok {
		return item, fmt.Errorf("%s has no %s", examples.CloudName, name)
	}
	var body map[string]any
	if err := json.Unmarshal(item.Body, &body); err != nil {
		return item, fmt.Errorf("%s in %s: %w", name, examples.CloudName, err)
	}
	change(body["properties"].(map[string]any))
	var err error
	item.Body, err = json.Marshal(body)
	return item, err
}

func (a *arranger) reference(name string) map[string]any {
	return map[string]any{"id": a.sample[name].ID.String()}
}

// property reads one text property of a resource, as the API answers it.
func (a *arranger) property(ctx context.Context, name, property string) (string, error) {
	item, ok := a.sample[name]
	if !ok {
		return "", fmt.Errorf("%s has no %s", examples.CloudName, name)
	}
	answer, err := a.api.Get(ctx, item.ID)
	if err != nil {
		return "", err
	}
	var body struct {
		Properties map[string]any `json:"properties"`
	}
	if err := json.Unmarshal(answer, &body); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	text, ok := body.Properties[property].(string)
	if !ok || strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("read %s: it has no property %s", name, property)
	}
	return text, nil
}
