package arm_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"postern/resource"
)

// TestPagesStayTrue reads lists in small pages while resources come and go: what is there all the time is listed once, in
// order.
func TestPagesStayTrue(t *testing.T) {
	f := start(t)
	token := f.token(t)
	const version = "?api-version=2024-05-01"
	group := "/subscriptions/" + resource.DefaultSubscription + "/resourceGroups/" + resource.DefaultResourceGroup
	vnet := group + "/providers/Microsoft.Network/virtualNetworks/vnet"
	asgs := group + "/providers/Microsoft.Network/applicationSecurityGroups"
	put := func(path, body string) {
		t.Helper()
		if a := f.send(t, http.MethodPut, path+version, token, body); a.status >= 300 {
			t.Fatalf("PUT %s: %d %s", path, a.status, a.body)
		}
	}
	subnet := func(i int) string { return fmt.Sprintf(`{"properties":{"addressPrefix":"10.0.%d.0/24"}}`, i) }
	put(vnet, `{"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/16"]}}}`)
	for i := range 9 {
		put(fmt.Sprintf("%s/subnets/s%d", vnet, 8-i), subnet(8-i))
		put(fmt.Sprintf("%s/s%d", asgs, i), `{"location":"westeurope"}`)
	}
	for _, test := range []struct {
		list string
		make func(name string, i int)
	}{
		{vnet + "/subnets", func(name string, i int) { put(vnet+"/subnets/"+name, subnet(i)) }},
		{asgs, func(name string, _ int) { put(asgs+"/"+name, `{"location":"westeurope"}`) }},
	} {
		var names []string
		pages := 0
		for next := test.list + version + "&$top=2"; next != ""; pages++ {
			answer := f.send(t, http.MethodGet, strings.TrimPrefix(next, f.door.URL), token, "")
			var page struct {
				Value    []struct{ Name string }
				NextLink string
			}
			if err := json.Unmarshal([]byte(answer.body), &page); err != nil || answer.status != 200 {
				t.Fatalf("%s: %d %s", next, answer.status, answer.body)
			}
			for _, one := range page.Value {
				names = append(names, one.Name)
			}
			switch pages {
			case 0: // before the mark, at it, and behind it
				test.make("s00", 100)
				f.send(t, http.MethodDelete, test.list+"/s1"+version, token, "")
				f.send(t, http.MethodDelete, test.list+"/s3"+version, token, "")
				test.make("s55", 101)
			}
			next = page.NextLink
		}
		if want := []string{"s0", "s1", "s2", "s4", "s5", "s55", "s6", "s7", "s8"}; !slices.Equal(names, want) {
			t.Errorf("%s: %v, want %v", test.list, names, want)
		}
		if pages != 5 {
			t.Errorf("%s: %d pages of two", test.list, pages)
		}
	}
}
