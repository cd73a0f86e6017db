package arm

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"postern/resource"
)

// filter is a $filter: comparisons that must all hold.
type filter []comparison

type comparison struct {
	field string // lower case
	equal bool   // eq; otherwise ne
	value string
}

// filterFields are what resources are chosen by.
var filterFields = []string{"resourcetype", "name", "location", "resourcegroup", "tagname", "tagvalue"}

// parseFilter reads comparisons joined by "and": FIELD eq 'VALUE', FIELD ne 'VALUE'. A quote in a value stands twice
// (OData 4.01, URL conventions section 5.1.1).
func parseFilter(text string) (filter, error) {
	bad := func(reason string) (filter, error) {
		return nil, &resource.Error{Code: "InvalidFilterInQueryString", Status: http.StatusBadRequest, Target: "$filter",
			Message: fmt.Sprintf("Invalid $filter '%.200s' specified in the query string: %s. Known are comparisons by eq and ne of "+
				"resourceType, name, location, resourceGroup, tagName and tagValue, joined by and.", text, reason)}
	}
	var list filter
	for rest := strings.TrimSpace(text); rest != ""; {
		field, behind, _ := strings.Cut(rest, " ")
		operator, behind, _ := strings.Cut(strings.TrimLeft(behind, " "), " ")
		field = strings.ToLower(field)
		if !slices.Contains(filterFields, field) {
			return bad("it compares '" + field + "'")
		}
		if operator = strings.ToLower(operator); operator != "eq" && operator != "ne" {
			return bad("it has '" + operator + "' where eq or ne should stand")
		}
		value, behind, ok := quoted(strings.TrimLeft(behind, " "))
		if !ok {
			return bad("a value has no quotes")
		}
		list = append(list, comparison{field, operator == "eq", value})
		if rest = strings.TrimSpace(behind); rest == "" {
			break
		}
		word, behind, _ := strings.Cut(rest, " ")
		if !strings.EqualFold(word, "and") || strings.TrimSpace(behind) == "" {
			return bad("it goes on with '" + word + "'")
		}
		rest = strings.TrimLeft(behind, " ")
	}
	return list, nil
}

// quoted reads a text in single quotes from the front.
func quoted(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, "'") {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '\'' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), text[i+1:], true
	}
	return "", "", false
}

// matches tells whether a resource with a body is chosen. tagName and tagValue speak of one and the same tag.
func (f filter) matches(id resource.ID, body json.RawMessage) bool {
	var head struct {
		Location string `json:"location"`
	}
	_ = json.Unmarshal(body, &head) // a stored body is an object; what has no location matches none
	tagName, tagValue, byTag := "", "", false
	for _, c := range f {
		have := ""
		switch c.field {
		case "tagname":
			tagName, byTag = c.value, true
			continue
		case "tagvalue":
			tagValue, byTag = c.value, true
			continue
		case "resourcetype":
			have = id.Type()
		case "name":
			have = id.Name()
		case "resourcegroup":
			have = id.ResourceGroup
		case "location":
			have = shortLocation(head.Location)
			c.value = shortLocation(c.value)
		}
		if strings.EqualFold(have, c.value) != c.equal {
			return false
		}
	}
	if !byTag {
		return true
	}
	for name, value := range tagsOf(body) {
		if (tagName == "" || strings.EqualFold(name, tagName)) && (tagValue == "" || value == tagValue) {
			return true
		}
	}
	return false
}

func shortLocation(text string) string { return strings.ToLower(strings.ReplaceAll(text, " ", "")) }

func tagsOf(body json.RawMessage) map[string]string {
	var head struct {
		Tags map[string]string `json:"tags"`
	}
	_ = json.Unmarshal(body, &head) // a stored body is an object whose tags are strings
	return head.Tags
}

type tagAnswer struct {
	ID     string     `json:"id"`
	Name   string     `json:"tagName"`
	Count  tagCount   `json:"count"`
	Values []tagValue `json:"values"`
}

type tagValue struct {
	ID    string   `json:"id"`
	Value string   `json:"tagValue"`
	Count tagCount `json:"count"`
}

type tagCount struct {
	Type  string `json:"type"`
	Value int    `json:"value"`
}

func tagAnswers(subscription string, counts map[string]map[string]int) []tagAnswer {
	answers := []tagAnswer{}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		answer := tagAnswer{ID: "/subscriptions/" + subscription + "/tagNames/" + name, Name: name, Count: tagCount{Type: "Total"}, Values: []tagValue{}}
		for _, value := range slices.Sorted(maps.Keys(counts[name])) {
			answer.Values = append(answer.Values, tagValue{answer.ID + "/tagValues/" + value, value, tagCount{"Total", counts[name][value]}})
			answer.Count.Value += counts[name][value]
		}
		answers = append(answers, answer)
	}
	return answers
}
