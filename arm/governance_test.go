package arm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	azarm "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/monitor/armmonitor"
	"github.com/google/uuid"

	"postern/activity"
	"postern/api/client"
	"postern/authorization"
	"postern/keyring"
	"postern/model"
	"postern/token"
)

// principal makes a principal by the cloud's socket, and a token of its.
func (f *fixture) principal(t *testing.T, name, role, scope string) (client.Principal, string) {
	t.Helper()
	c := client.New(f.plane.Dir)
	t.Cleanup(c.Close)
	made, err := c.CreatePrincipal(f.ctx, client.NewPrincipal{Name: name, Role: role, Scope: scope})
	if err != nil {
		t.Fatal(err)
	}
	return made, f.tokenOf(t, made)
}

func (f *fixture) tokenOf(t *testing.T, one client.Principal) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {one.AppID}, "client_secret": {one.Secret}, "scope": {f.door.URL + "/.default"}}
	answer := f.send(t, "POST", "/"+f.door.Tenant+"/oauth2/v2.0/token", "", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(answer.body), &body); err != nil {
		t.Fatal(err)
	}
	return body.Token
}

// want sends a request and compares status and code.
func (f *fixture) want(t *testing.T, what, method, path, token, body string, status int, code string) string {
	t.Helper()
	answer := f.send(t, method, path, token, body)
	if answer.status != status || code != "" && !strings.Contains(answer.body, `"code":"`+code+`"`) {
		t.Errorf("%s: %s %s: %d %.600s, want %d %s", what, method, path, answer.status, answer.body, status, code)
	}
	return answer.body
}

func (f *fixture) names(t *testing.T, path, token string) string {
	t.Helper()
	answer := f.send(t, "GET", path, token, "")
	var list struct {
		Value []struct {
			Name           string
			SubscriptionID string
		}
	}
	if err := json.Unmarshal([]byte(answer.body), &list); err != nil || answer.status != http.StatusOK {
		return fmt.Sprint(answer.status)
	}
	var names []string
	for _, one := range list.Value {
		names = append(names, one.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// Lists have what their caller may read; who may read nothing in a place is refused.
func TestListsShowWhatMayBeRead(t *testing.T) {
	f := start(t)
	owner := f.token(t)
	other := strings.Replace(group, "demo", "other", 1)
	f.want(t, "a group", "PUT", other+version, owner, `{"location":"westeurope"}`, 201, "")
	for _, path := range []string{tables + "/a", tables + "/b", strings.Replace(tables, "demo", "other", 1) + "/c"} {
		f.want(t, "a table", "PUT", path+version, owner, table, 201, "")
	}
	_, inGroup := f.principal(t, "in-group", "Reader", group)
	_, ofOne := f.principal(t, "of-one", "Reader", tables+"/a")
	_, nobody := f.principal(t, "nobody", "", "")
	all := "/providers/Microsoft.Network/routeTables" + version
	for _, r := range []struct{ what, path, token, want string }{
		{"GOV-1 the owner", subscription + all, owner, "a b c"},
		{"GOV-1 a group's reader", subscription + all, inGroup, "a b"},
		{"GOV-1 a group's reader in its group", tables + version, inGroup, "a b"},
		{"GOV-1 a resource's reader", subscription + all, ofOne, "a"},
		{"GOV-1 a resource's reader in its group", tables + version, ofOne, "a"},
		{"GOV-1 a resource's reader, all types", group + "/resources" + version, ofOne, "a"},
		{"GOV-1 in another group", other + all, ofOne, "403"},
		{"GOV-1 nobody", subscription + all, nobody, "403"},
		{"GOV-1 groups of a group's reader", subscription + "/resourcegroups" + version, inGroup, "demo"},
		{"GOV-1 groups of nobody", subscription + "/resourcegroups" + version, nobody, "403"},
		{"GOV-1 what is no list of resources", group + "/providers/Microsoft.Network/locations/westeurope/usages" + version, ofOne, "403"},
	} {
		if got := f.names(t, r.path, r.token); got != r.want {
			t.Errorf("%s: %s, want %s", r.what, got, r.want)
		}
	}
	if answer := f.send(t, "GET", "/subscriptions"+version, inGroup, ""); !strings.Contains(answer.body, subscription) {
		t.Errorf("GOV-1 a group's reader does not find the subscription: %s", answer.body)
	}
	if answer := f.send(t, "GET", "/subscriptions"+version, nobody, ""); answer.status != http.StatusOK || strings.Contains(answer.body, subscription) {
		t.Errorf("GOV-1 nobody sees a subscription: %s", answer.body)
	}
}

// FW-14: who names a subnet in an account's rules must be let to.
func TestLinkedRights(t *testing.T) {
	f := start(t)
	owner := f.token(t)
	vnet := group + "/providers/Microsoft.Network/virtualNetworks/v"
	f.want(t, "a network", "PUT", vnet+version, owner, `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.1.0.0/16"]},"subnets":[
		{"name":"app","properties":{"addressPrefix":"10.1.0.0/24","serviceEndpoints":[{"service":"Microsoft.Storage"}]}}]}}`, 201, "")
	f.want(t, "a table", "PUT", tables+"/rt"+version, owner, table, 201, "")
	const accounts = "/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/accounts"
	f.want(t, "a group", "PUT", accounts+version, owner, `{"location":"westeurope"}`, 201, "")
	made, token := f.principal(t, "storage", "Storage Account Contributor", accounts)
	account := accounts + "/providers/Microsoft.Storage/storageAccounts/stlinked"
	body := `{"location":"westeurope","kind":"StorageV2","sku":{"name":"Standard_LRS"},"properties":{"networkAcls":{"defaultAction":"Deny","virtualNetworkRules":[{"id":"` + vnet + `/subnets/app"}]}}}`
	said := f.want(t, "FW-14", "PUT", account+version, token, body, 403, "LinkedAuthorizationFailed")
	for _, part := range []string{made.AppID, made.ObjectID, "has permission to perform action 'Microsoft.Storage/storageAccounts/write' on scope '" + account + "'",
		"'Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action' on the linked scope(s) '" + vnet + "/subnets/app'"} {
		if !strings.Contains(said, part) {
			t.Errorf("FW-14 the refusal does not say %s: %s", part, said)
		}
	}
	f.want(t, "FW-14 without a rule", "PUT", account+version, token, `{"location":"westeurope","kind":"StorageV2","sku":{"name":"Standard_LRS"}}`, 200, "")
	f.want(t, "FW-14 by PATCH", "PATCH", account+version, token, body, 403, "LinkedAuthorizationFailed")
	f.assign(t, made.ObjectID, "17d1049b-9a84-46fb-8f53-869881c3d3ab", vnet+"/subnets/app")
	f.want(t, "FW-14 with the right on the subnet", "PUT", account+version, token, body, 200, "")

	network, joiner := f.principal(t, "network", "", "")
	f.assign(t, network.ObjectID, "4d97b98b-1d4f-4787-a291-c67834d212e7", vnet)
	subnet := `{"properties":{"addressPrefix":"10.1.1.0/24","routeTable":{"id":"` + tables + `/rt"}}}`
	f.want(t, "a route table of others", "PUT", vnet+"/subnets/data"+version, joiner, subnet, 403, "LinkedAuthorizationFailed")
	f.assign(t, network.ObjectID, "4d97b98b-1d4f-4787-a291-c67834d212e7", tables+"/rt")
	f.want(t, "a route table that may be joined", "PUT", vnet+"/subnets/data"+version, joiner, subnet, 201, "")

	t.Run("GOV-1 assignments go with their scope", func(t *testing.T) {
		f.want(t, "the account goes", "DELETE", account+version, owner, "", 200, "")
		f.want(t, "the subnet goes", "DELETE", vnet+"/subnets/app"+version, owner, "", 200, "")
		for _, assignment := range f.plane.Access.Set().Assignments() {
			if strings.HasSuffix(assignment.Scope, "/subnets/app") {
				t.Errorf("GOV-1 %s is assigned still", assignment.Scope)
			}
		}
	})
}

// A VM's own token is good at the API, with the roles that the VM has.
func TestManagedIdentity(t *testing.T) {
	f := start(t)
	owner := f.token(t)
	compute := group + "/providers/Microsoft.Compute/virtualMachines/vm"
	nic := group + "/providers/Microsoft.Network/networkInterfaces/nic"
	vnet := group + "/providers/Microsoft.Network/virtualNetworks/v"
	f.want(t, "a network", "PUT", vnet+version, owner, `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.1.0.0/16"]},"subnets":[
		{"name":"app","properties":{"addressPrefix":"10.1.0.0/24"}}]}}`, 201, "")
	f.want(t, "a NIC", "PUT", nic+version, owner, `{"location":"westeurope","properties":{"ipConfigurations":[{"name":"ip","properties":{"subnet":{"id":"`+vnet+`/subnets/app"}}}]}}`, 201, "")
	vm := f.want(t, "a VM", "PUT", compute+version, owner, `{"location":"westeurope","identity":{"type":"SystemAssigned"},"properties":{"networkProfile":{"networkInterfaces":[{"id":"`+nic+`"}]}}}`, 201, "")
	var body struct{ Identity struct{ PrincipalID string } }
	if err := json.Unmarshal([]byte(vm), &body); err != nil || body.Identity.PrincipalID == "" {
		t.Fatalf("%s, %v", vm, err)
	}
	// What the metadata service does with the keys that all gateways share.
	ring, err := keyring.Open(f.ctx, f.plane.Store.Store, keyring.Managed, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	issue := func(audience string) string {
		raw, _, err := token.Issuer{URL: token.ManagedIssuer, Tenant: model.DefaultSettings.Tenant, Keys: ring.Keys()}.
			Issue(token.Identity{PrincipalID: body.Identity.PrincipalID, ResourceID: compute}, audience, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	raw := issue("https://management.azure.com/")
	f.want(t, "GOV-1 a VM without a role", "GET", compute+version, raw, "", 403, "AuthorizationFailed")
	f.assign(t, body.Identity.PrincipalID, authorization.Reader, group)
	f.want(t, "ID-2 GOV-1 a VM that may read", "GET", compute+version, raw, "", 200, "")
	f.want(t, "GOV-1 a VM that may not write", "DELETE", nic+version, raw, "", 403, "AuthorizationFailed")
	f.want(t, "ID-2 for the door's own address", "GET", compute+version, issue(f.door.URL), "", 200, "")
	f.want(t, "ID-2 for another service", "GET", compute+version, issue("https://storage.azure.com/"), "", 401, "InvalidAuthenticationToken")
	f.want(t, "GOV-1 who reads it, by the log", "GET", subscription+"/providers/Microsoft.Authorization/permissions"+version, raw, "", 403, "AuthorizationFailed")
	f.want(t, "the VM goes", "DELETE", compute+version, owner, "", 200, "")
	f.want(t, "ID-1 the identity of a VM that has gone", "GET", nic+version, raw, "", 403, "AuthorizationFailed")
}

func TestKeysRotate(t *testing.T) {
	f := start(t)
	before := f.token(t)
	c := client.New(f.plane.Dir)
	defer c.Close()
	keys, err := c.RotateKeys(f.ctx)
	if err != nil || len(keys.Published) != 3 || keys.KeyID != keys.Published[0] {
		t.Fatalf("%+v, %v", keys, err)
	}
	again, err := c.RotateKeys(f.ctx)
	if err != nil || again.KeyID != keys.Published[1] || len(again.Published) != 4 {
		t.Errorf("what was published as the next does not sign: %+v, %+v, %v", keys, again, err)
	}
	published := f.want(t, "the published keys", "GET", "/"+f.door.Tenant+"/discovery/v2.0/keys", "", "", 200, "")
	for _, id := range again.Published {
		if !strings.Contains(published, id) {
			t.Errorf("%s is not published: %s", id, published)
		}
	}
	f.want(t, "a token of before", "GET", "/subscriptions"+version, before, "", 200, "")
	f.want(t, "a token of now", "GET", "/subscriptions"+version, f.token(t), "", 200, "")
}

func TestPrincipals(t *testing.T) {
	f := start(t)
	c := client.New(f.plane.Dir)
	defer c.Close()
	made, token := f.principal(t, "ci", "Reader", group)
	f.want(t, "a principal that is there", "GET", group+version, token, "", 200, "")
	if _, err := c.CreatePrincipal(f.ctx, client.NewPrincipal{Name: "ci"}); err == nil {
		t.Error("two of one name")
	}
	if _, err := c.CreatePrincipal(f.ctx, client.NewPrincipal{Name: "x", Role: "Nothing", Scope: group}); err == nil {
		t.Error("a role that is not there")
	}
	if _, err := c.CreatePrincipal(f.ctx, client.NewPrincipal{Name: "x", Role: "Reader", Scope: group + "9"}); err == nil {
		t.Error("a scope that is not there")
	}
	reset, err := c.ResetPrincipal(f.ctx, made.AppID)
	if err != nil || reset.Secret == made.Secret || f.tokenOf(t, made) != "" || f.tokenOf(t, reset) == "" {
		t.Errorf("%+v, %v", reset, err)
	}
	list, err := c.Principals(f.ctx)
	if err != nil || len(list) != 2 || list[1].Name != "ci" || len(list[1].Roles) != 1 || list[1].Roles[0].Name != "Reader" || list[1].Secret != "" {
		t.Errorf("%+v, %v", list, err)
	}
	stored, err := f.plane.Store.Secret(f.ctx, "signin-principals", nil)
	if err != nil || bytes.Contains(stored, []byte(reset.Secret)) {
		t.Errorf("a secret is stored: %v", err)
	}
	if _, err := c.DeletePrincipal(f.ctx, "ci"); err != nil {
		t.Fatal(err)
	}
	f.want(t, "a principal that has gone", "GET", group+version, token, "", 403, "AuthorizationFailed")
	if len(f.plane.Access.Set().Assignments()) != 1 {
		t.Error("its role is there still")
	}
}

// The Go SDK's own clients, as postern env go says.
func TestSDKAuthorization(t *testing.T) {
	c := startSDK(t)
	credential := c.credential(t, c.door.Tenant, c.door.Secret)
	options := &azarm.ClientOptions{ClientOptions: c.options()}
	factory, err := armauthorization.NewClientFactory(c.door.Subscription, credential, options)
	if err != nil {
		t.Fatal(err)
	}
	c.group(t, "rg")
	scope := subscription + "/resourceGroups/rg"
	definitions, assignments := factory.NewRoleDefinitionsClient(), factory.NewRoleAssignmentsClient()
	made, _ := c.principal(t, "sdk", "", "")

	name := uuid.NewString()
	role := armauthorization.RoleDefinition{Properties: &armauthorization.RoleDefinitionProperties{RoleName: to.Ptr("Table Keeper"), RoleType: to.Ptr("CustomRole"),
		Description: to.Ptr("Keeps route tables"), AssignableScopes: []*string{to.Ptr(scope)},
		Permissions: []*armauthorization.Permission{{Actions: []*string{to.Ptr("Microsoft.Network/routeTables/*"), to.Ptr("*/read")},
			NotActions: []*string{to.Ptr("Microsoft.Network/routeTables/delete")}}}}}
	written := must[armauthorization.RoleDefinitionsClientCreateOrUpdateResponse](t)(definitions.CreateOrUpdate(c.ctx, scope, name, role, nil))
	if *written.Properties.RoleName != "Table Keeper" || *written.Properties.RoleType != "CustomRole" || *written.ID != subscription+"/providers/Microsoft.Authorization/roleDefinitions/"+name {
		t.Errorf("GOV-1 %+v", written.RoleDefinition)
	}
	var found []string
	for pager := definitions.NewListPager(scope, &armauthorization.RoleDefinitionsClientListOptions{Filter: to.Ptr("type eq 'CustomRole'")}); pager.More(); {
		page := must[armauthorization.RoleDefinitionsClientListResponse](t)(pager.NextPage(c.ctx))
		for _, one := range page.Value {
			found = append(found, *one.Name)
		}
	}
	if len(found) != 1 || found[0] != name {
		t.Errorf("GOV-1 custom roles %v", found)
	}
	assignmentName := uuid.NewString()
	parameters := armauthorization.RoleAssignmentCreateParameters{Properties: &armauthorization.RoleAssignmentProperties{RoleDefinitionID: written.ID,
		PrincipalID: &made.ObjectID, PrincipalType: to.Ptr(armauthorization.PrincipalTypeServicePrincipal)}}
	assigned := must[armauthorization.RoleAssignmentsClientCreateResponse](t)(assignments.Create(c.ctx, scope, assignmentName, parameters, nil))
	if *assigned.Properties.Scope != scope || *assigned.Properties.RoleDefinitionID != *written.ID || assigned.Properties.CreatedOn == nil {
		t.Errorf("GOV-1 %+v", assigned.Properties)
	}
	_, err = assignments.Create(c.ctx, scope, uuid.NewString(), parameters, nil)
	refused(t, err, http.StatusConflict, "RoleAssignmentExists")
	_, err = definitions.Delete(c.ctx, scope, name, nil)
	refused(t, err, http.StatusBadRequest, "RoleDefinitionHasAssignments")
	parameters.Properties.PrincipalID = to.Ptr(uuid.NewString())
	_, err = assignments.Create(c.ctx, scope, uuid.NewString(), parameters, nil)
	refused(t, err, http.StatusBadRequest, "PrincipalNotFound")
	_, err = assignments.Create(c.ctx, subscription+"/resourceGroups/nope", uuid.NewString(), parameters, nil)
	refused(t, err, http.StatusNotFound, "ResourceGroupNotFound")

	// The new principal keeps tables, and nothing else.
	own, err := azidentity.NewClientSecretCredential(c.door.Tenant, made.AppID, made.Secret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: c.options(), DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	mine, err := armauthorization.NewClientFactory(c.door.Subscription, own, options)
	if err != nil {
		t.Fatal(err)
	}
	permissions := must[armauthorization.PermissionsClientListForResourceGroupResponse](t)(mine.NewPermissionsClient().NewListForResourceGroupPager("rg", nil).NextPage(c.ctx))
	if len(permissions.Value) != 1 || len(permissions.Value[0].Actions) != 2 {
		t.Errorf("GOV-1 permissions %+v", permissions.Value)
	}
	token := c.tokenOf(t, made)
	tableID := scope + "/providers/Microsoft.Network/routeTables/rt"
	c.want(t, "GOV-1 a custom role", "PUT", tableID+version, token, table, 201, "")
	c.want(t, "GOV-1 its notActions", "DELETE", tableID+version, token, "", 403, "AuthorizationFailed")
	c.want(t, "GOV-1 what it does not have", "PUT", strings.Replace(tableID, "routeTables", "networkSecurityGroups", 1)+version, token, table, 403, "AuthorizationFailed")
	c.want(t, "GOV-1 nor can it give itself more", "PUT", scope+"/providers/Microsoft.Authorization/roleAssignments/"+uuid.NewString()+version, token,
		`{"properties":{"roleDefinitionId":"`+authorization.Owner+`","principalId":"`+made.ObjectID+`"}}`, 403, "AuthorizationFailed")
	for filter, want := range map[string]int{"": 2, "atScope()": 2, "principalId eq '" + made.ObjectID + "'": 1, "assignedTo('" + made.ObjectID + "')": 1} {
		page := must[armauthorization.RoleAssignmentsClientListForScopeResponse](t)(assignments.NewListForScopePager(scope,
			// The client puts the filter into the address as it is.
			&armauthorization.RoleAssignmentsClientListForScopeOptions{Filter: to.Ptr(url.QueryEscape(filter))}).NextPage(c.ctx))
		if len(page.Value) != want {
			t.Errorf("GOV-1 %q: %d assignments, want %d", filter, len(page.Value), want)
		}
	}
	page := must[armauthorization.RoleAssignmentsClientListForSubscriptionResponse](t)(assignments.NewListForSubscriptionPager(
		&armauthorization.RoleAssignmentsClientListForSubscriptionOptions{Filter: to.Ptr("atScope()")}).NextPage(c.ctx))
	if len(page.Value) != 1 || *page.Value[0].Properties.Scope != subscription {
		t.Errorf("GOV-1 at the subscription: %+v", page.Value)
	}
	must[armauthorization.RoleAssignmentsClientDeleteByIDResponse](t)(assignments.DeleteByID(c.ctx, *assigned.ID, nil))
	c.want(t, "GOV-1 a right that was taken", "GET", tableID+version, token, "", 403, "AuthorizationFailed")
	must[armauthorization.RoleDefinitionsClientDeleteResponse](t)(definitions.Delete(c.ctx, scope, name, nil))

	t.Run("GOV-2", func(t *testing.T) { c.activity(t, credential, options, made) })
}

// activity reads the log by the SDK's client.
func (c *clients) activity(t *testing.T, credential *azidentity.ClientSecretCredential, options *azarm.ClientOptions, reader client.Principal) {
	logs, err := armmonitor.NewActivityLogsClient(c.door.Subscription, credential, options)
	if err != nil {
		t.Fatal(err)
	}
	read := func(filter string) (events []*armmonitor.EventData) {
		since := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
		for pager := logs.NewListPager("eventTimestamp ge '"+since+"' and "+filter, nil); pager.More(); {
			page := must[armmonitor.ActivityLogsClientListResponse](t)(pager.NextPage(c.ctx))
			events = append(events, page.Value...)
		}
		return events
	}
	tableID := subscription + "/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt"
	var got []string
	for _, event := range slices.Backward(read("resourceUri eq '" + tableID + "'")) {
		got = append(got, *event.OperationName.Value+" "+*event.Status.Value+" "+*event.SubStatus.Value)
		if *event.Caller != reader.AppID || *event.ResourceGroupName != "rg" || event.CorrelationID == nil || *event.ResourceID != tableID {
			t.Errorf("GOV-2 %+v", event)
		}
	}
	want := []string{"Microsoft.Network/routeTables/write Started ", "Microsoft.Network/routeTables/write Succeeded Created",
		"Microsoft.Network/routeTables/delete Failed Forbidden"}
	if !slices.Equal(got, want) {
		t.Errorf("GOV-2 %q, want %q", got, want)
	}
	if events := read("status eq 'Failed'"); len(events) < 5 || *events[0].Level != armmonitor.EventLevelError ||
		!strings.Contains(*events[len(events)-1].Properties["statusMessage"], "RoleAssignmentExists") {
		t.Errorf("GOV-2 %d failures", len(events))
	}
	if events := read("resourceProvider eq 'Microsoft.Network' and caller eq '" + c.door.ClientID + "'"); len(events) != 0 {
		t.Errorf("GOV-2 %d events of the owner's", len(events))
	}
	first := read("resourceUri eq '" + tableID + "'")[0]
	if events := read("correlationId eq '" + *first.CorrelationID + "'"); len(events) != 1 {
		t.Errorf("GOV-2 %d events of one request", len(events))
	}
	for _, filter := range []string{"", "eventTimestamp le '2026-01-01'", "eventTimestamp ge 'x'", "eventTimestamp ge '2026-01-01' or caller eq 'x'", "eventTimestamp ge '2026-01-01' and x eq 'y'"} {
		c.want(t, "GOV-2 the filter "+filter, "GET", subscription+"/providers/Microsoft.Insights/eventtypes/management/values"+version+"&$filter="+url.QueryEscape(filter),
			c.token(t), "", 400, "BadRequest")
	}
}

// GOV-2: what comes by the socket is in the log too, each resource of a batch; pages and $select are Azure's.
func TestActivityPages(t *testing.T) {
	f := start(t)
	owner := f.token(t)
	before := time.Now()
	const writes = 120
	for i := range writes {
		f.want(t, "a table", "PUT", fmt.Sprintf("%s/rt%d%s", tables, i, version), owner, table, 201, "")
	}
	values := subscription + "/providers/Microsoft.Insights/eventtypes/management/values" + version + "&$select=eventTimestamp,%20resourceId%20,status&$filter=" +
		url.QueryEscape("eventTimestamp ge "+before.UTC().Format("2006-01-02T15:04:05.999999")+" and resourceGroupName eq 'DEMO'")
	seen := 0
	for next := values; next != ""; {
		var page struct {
			Value    []map[string]any
			NextLink string
		}
		if err := json.Unmarshal([]byte(f.want(t, "GOV-2 a page", "GET", next, owner, "", 200, "")), &page); err != nil {
			t.Fatal(err)
		}
		for _, event := range page.Value {
			if len(event) != 3 {
				t.Fatalf("GOV-2 $select leaves %v", event)
			}
		}
		seen += len(page.Value)
		next = strings.TrimPrefix(page.NextLink, f.door.URL)
	}
	if seen != 2*writes {
		t.Errorf("GOV-2 %d events of %d writes", seen, writes)
	}
	_, nobody := f.principal(t, "nobody", "", "")
	f.want(t, "GOV-1 the log for nobody", "GET", values, nobody, "", 403, "AuthorizationFailed")
	_, reader := f.principal(t, "reader", "Reader", tables+"/rt7")
	if got := f.want(t, "GOV-1 the log for the reader of one table", "GET", values, reader, "", 200, ""); strings.Count(got, "rt7\"") != 2 || strings.Contains(got, "rt8") {
		t.Errorf("GOV-1 %s", got)
	}
	page, err := f.plane.Activity.Query(activity.Filter{Caller: "local owner", Status: activity.Succeeded, Limit: 1}, time.Now())
	if err != nil || len(page.Events) != 1 || page.Events[0].Operation != "Postern.Fabric/principals/write" || page.Events[0].Address != "" {
		t.Errorf("GOV-2 by the socket: %+v, %v", page.Events, err)
	}
}

// GOV-2: a log that cannot be written loses its event and not the write.
func TestActivityLost(t *testing.T) {
	f := start(t)
	owner := f.token(t)
	if err := f.plane.Activity.Close(); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(f.plane.Dir, "activity")
	if err := errors.Join(os.RemoveAll(folder), os.WriteFile(folder, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	f.want(t, "GOV-2", "PUT", tables+"/rt"+version, owner, table, 201, "")
	f.want(t, "GOV-2", "GET", tables+"/rt"+version, owner, "", 200, "")
	if f.plane.Activity.Lost() != 2 {
		t.Errorf("GOV-2 %d events are counted as lost", f.plane.Activity.Lost())
	}
}
