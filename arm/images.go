package arm

import (
	"net/http"
)

// imageVersion is the version of every image here. Machines are made of no image: what a VM's body says about one is kept and
// answered, and nothing boots from it. Clients ask for the image that they are about to name, and every name is answered.
const imageVersion = "1.0.0"

type image struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	Location   string           `json:"location"`
	Properties *imageProperties `json:"properties,omitempty"`
}

type imageProperties struct {
	Generation string    `json:"hyperVGeneration"`
	OSDisk     imageDisk `json:"osDiskImage"`
	DataDisks  []any     `json:"dataDiskImages"`
}

type imageDisk struct {
	OperatingSystem string `json:"operatingSystem"`
}

func imageRoutes() map[string]methods {
	const sku = "microsoft.compute/locations/*/publishers/*/artifacttypes/*/offers/*/skus/*/versions"
	return map[string]methods{sku: {"GET": {"", listImageVersions}}, sku + "/*": {"GET": {"", getImage}}}
}

// listImageVersions answers the one version of an image, whatever is asked.
func listImageVersions(r *request) (int, any, error) {
	return http.StatusOK, []image{{ID: r.at.scope() + "/versions/" + imageVersion, Name: imageVersion, Location: r.at.names[0]}}, nil
}

// getImage answers an image: a Linux without plan and data disks.
func getImage(r *request) (int, any, error) {
	return http.StatusOK, image{ID: r.at.scope(), Name: r.at.names[5], Location: r.at.names[0],
		Properties: &imageProperties{Generation: "V1", OSDisk: imageDisk{"Linux"}, DataDisks: []any{}}}, nil
}
