package resource

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// configured is a NIC with ipConfigurations in the subnet of the sample.
func configured(name string, configurations ...string) string {
	for i, one := range configurations {
		configurations[i] = fmt.Sprintf(`{"name":"c%d","properties":{"subnet":{"id":"virtualNetworks/vnet/subnets/snet-app"}%s}}`, i, one)
	}
	return fmt.Sprintf(`put networkInterfaces/%s {"location":"westeurope","properties":{"ipConfigurations":[%s]}}`, name, strings.Join(configurations, ","))
}

// Secondary ipConfigurations have addresses of their own, which nobody else gets and which stay.
func TestSecondaryAddresses(t *testing.T) {
	const block = `,"privateIPAddressPrefixLength":28`
	outcome, err := change(t, sample(t), configured("nic", "", block, `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.76.9"`, `,"primary":true`))
	if err != nil {
		t.Fatal(err)
	}
	cloud := outcome.After.At(2, outcome.Puts)
	addresses := func(cloud *Cloud) []string {
		data, err := cloud.Render(mustID(t, "networkInterfaces/nic"), "Succeeded")
		if err != nil {
			t.Fatal(err)
		}
		var body struct {
			Properties struct {
				IPConfigurations []struct {
					Properties struct {
						Address string `json:"privateIPAddress"`
						Primary bool   `json:"primary"`
					} `json:"properties"`
				} `json:"ipConfigurations"`
			} `json:"properties"`
		}
		if err := json.Unmarshal(data, &body); err != nil {
			t.Fatal(err)
		}
		var list []string
		for i, one := range body.Properties.IPConfigurations {
			if one.Properties.Primary != (i == 3) {
				t.Errorf("configuration %d is primary: %v", i, one.Properties.Primary)
			}
			list = append(list, one.Properties.Address)
		}
		return list
	}
	const want = "10.13.76.5 10.13.76.16/28 10.13.76.9 10.13.76.4"
	if have := strings.Join(addresses(cloud), " "); have != want {
		t.Errorf("addresses %s, want %s", have, want)
	}
	nic := &cloud.entries.find(mustID(t, "networkInterfaces/nic").Key()).noun.(*networkInterface).NetworkInterface
	if nic.IPv4 != netip.MustParseAddr("10.13.76.4") || len(nic.Secondary) != 3 {
		t.Errorf("noun %v %v", nic.IPv4, nic.Secondary)
	}
	t.Run("they stay when the NIC is written again", func(t *testing.T) {
		again, err := change(t, cloud, configured("nic", "", block, `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.76.9"`, `,"primary":true`))
		if err != nil {
			t.Fatal(err)
		}
		if have := strings.Join(addresses(again.After.At(3, again.Puts)), " "); have != want {
			t.Errorf("addresses %s, want %s", have, want)
		}
	})
	t.Run("they stay when the cloud is read again", func(t *testing.T) {
		var records []Record
		for _, record := range cloud.Records("") {
			records = append(records, *record)
		}
		read, err := NewCloud(records, cloud.Counters, 3)
		if err != nil {
			t.Fatal(err)
		}
		if have := strings.Join(addresses(read), " "); have != want {
			t.Errorf("addresses %s, want %s", have, want)
		}
		if err := Check(read, read.entries.find(mustID(t, "networkInterfaces/nic").Key()).record); err != nil {
			t.Error(err)
		}
	})
	const at = "properties.ipConfigurations[1].properties."
	for _, c := range []struct{ name, line, code, target string }{
		{"two primary ones", configured("x", `,"primary":true`, `,"primary":true`), "NetworkInterfaceMustHaveOneOneIPConfigAsPrimary", "properties.ipConfigurations"},
		{"another subnet", strings.Replace(configured("x", "", ""), "snet-app", "snet-other", 1), "IpConfigurationsOnSameNicCannotUseDifferentSubnets", at + "subnet.id"},
		{"a taken address", configured("x", "", `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.76.20"`), "PrivateIPAddressIsAllocated", at + "privateIPAddress"},
		{"one address twice", configured("x", `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.76.50"`, `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.76.50"`), "PrivateIPAddressIsAllocated", at + "privateIPAddress"},
		{"a reserved address", configured("x", "", `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.76.3"`), "PrivateIPAddressInReservedRange", at + "privateIPAddress"},
		{"an address outside", configured("x", "", `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.77.9"`), "PrivateIPAddressNotInSubnet", at + "privateIPAddress"},
		{"a block of another length", configured("x", "", `,"privateIPAddressPrefixLength":27`), "InvalidRequestFormat", at + "privateIPAddressPrefixLength"},
		{"a block that does not begin there", configured("x", "", `,"privateIPAllocationMethod":"Static","privateIPAddress":"10.13.76.33","privateIPAddressPrefixLength":28`), "InvalidIPAddressFormat", at + "privateIPAddress"},
		{"IPv6", configured("x", "", `,"privateIPAddressVersion":"IPv6"`), "InvalidRequestFormat", at + "privateIPAddressVersion"},
		{"a public IP of another's", configured("x", "", `,"publicIPAddress":{"id":"publicIPAddresses/pip-app"}`), "PublicIPAddressInUse", at + "publicIPAddress.id"},
		{"no configuration", configured("x"), "InvalidRequestFormat", "properties.ipConfigurations"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := change(t, cloud, c.line)
			refused(t, err, c.code, c.target)
		})
	}
}
