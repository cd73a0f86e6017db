package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postern/servicetag"
)

// listedTag is a tag in the JSON form of postern tags list.
type listedTag struct {
	Name            string   `json:"name"`
	SystemService   string   `json:"systemService"`
	Region          string   `json:"region"` // as resources spell it; "" for a top-level tag
	NetworkFeatures []string `json:"networkFeatures"`
	IPv4Prefixes    int      `json:"ipv4Prefixes"`
	IPv6Prefixes    int      `json:"ipv6Prefixes"`
}

func newTagsList(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "list",
		Short: "All tags, or those of services with endpoints",
		Args:  cobra.NoArgs,
	}
	output := formatFlag(command)
	vse := command.Flags().Bool("vse", false, "tags with the network feature VSE alone: the services that have endpoints")
	command.RunE = func(command *cobra.Command, _ []string) error {
		catalogue, err := a.catalogue(command.Context())
		if err != nil {
			return err
		}
		tags := tagsOf(catalogue, *vse)
		if *output == asJSON {
			return writeJSON(a.stdout, tags)
		}
		rows := [][]string{{"TAG", "SYSTEM SERVICE", "REGION", "FEATURES", "IPV4", "IPV6"}}
		for _, tag := range tags {
			rows = append(rows, []string{tag.Name, tag.SystemService, tag.Region, strings.Join(tag.NetworkFeatures, ","),
				strconv.Itoa(tag.IPv4Prefixes), strconv.Itoa(tag.IPv6Prefixes)})
		}
		return writeTable(a.stdout, rows)
	}
	return command
}

// tagsOf lists tags by name; with vse those of services with endpoints (SE-15).
func tagsOf(catalogue *servicetag.Catalogue, vse bool) []listedTag {
	list := []listedTag{}
	for _, name := range catalogue.Names() {
		tag, _ := catalogue.Tag(name)
		if vse && !tag.HasEndpoints() {
			continue
		}
		ipv4 := len(catalogue.IPv4(name))
		list = append(list, listedTag{Name: tag.Name, SystemService: tag.SystemService, Region: string(tag.Location),
			NetworkFeatures: append([]string{}, tag.NetworkFeatures...), IPv4Prefixes: ipv4, IPv6Prefixes: len(tag.Prefixes) - ipv4})
	}
	return list
}
