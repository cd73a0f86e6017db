package arm

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"postern/resource"
)

// versionOf reads api-version. Every version of a known type answers the same shape, so any date will do, with or without
// a word behind it ("2024-01-01-preview").
func versionOf(query url.Values) (string, error) {
	given := ""
	for name, values := range query {
		if strings.EqualFold(name, "api-version") && len(values) > 0 {
			given = values[0]
		}
	}
	if given == "" {
		return "", &resource.Error{Code: "MissingApiVersionParameter", Status: http.StatusBadRequest, Target: "api-version",
			Message: "The api-version query parameter (?api-version=) is required for all requests."}
	}
	date, word := given, ""
	if len(given) > len(time.DateOnly) {
		date, word = given[:len(time.DateOnly)], given[len(time.DateOnly):]
	}
	if _, err := time.Parse(time.DateOnly, date); err != nil || word != "" && word != "-preview" && word != "-alpha" && word != "-beta" {
		return "", &resource.Error{Code: "InvalidApiVersionParameter", Status: http.StatusBadRequest, Target: "api-version",
			Message: fmt.Sprintf("The api-version '%.40s' is invalid. It must be a date, like %s.", given, networkVersions[0])}
	}
	return given, nil
}
