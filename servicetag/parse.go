package servicetag

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// Limits of a tag file. Microsoft's of 2025 has 4 MB, 2,967 tags and 90,489 prefixes.
const (
	maxFileBytes = 64 << 20 // unpacked
	maxTags      = 20_000
	maxPrefixes  = 1_000_000
	maxText      = 256 // bytes of a name, a region, a feature
)

// file is the JSON of Microsoft's weekly download.
type file struct {
	ChangeNumber int     `json:"changeNumber"`
	Cloud        string  `json:"cloud"`
	Values       []value `json:"values"`
}

type value struct {
	Name       string     `json:"name"`
	ID         string     `json:"id"`
	Properties properties `json:"properties"`
}

type properties struct {
	ChangeNumber    int      `json:"changeNumber"`
	Region          string   `json:"region"`
	RegionID        int      `json:"regionId"`
	Platform        string   `json:"platform"`
	SystemService   string   `json:"systemService"`
	AddressPrefixes []string `json:"addressPrefixes"`
	NetworkFeatures []string `json:"networkFeatures"`
}

// Parse reads a tag file: JSON as Microsoft publishes it, plain or packed with gzip. A file that is cut off, that is
// no such JSON, that has no tags, a name twice, a wrong prefix or an absurd size gives an error and no catalogue.
func Parse(r io.Reader) (*Catalogue, error) {
	catalogue, err := parse(r)
	if err != nil {
		return nil, fmt.Errorf("read service-tag file: %w; download the weekly file again and import it whole", err)
	}
	return catalogue, nil
}

func parse(r io.Reader) (*Catalogue, error) {
	text, err := unpack(r)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	var read file
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, jsonError(err, text)
	}
	if len(read.Values) == 0 {
		return nil, errors.New(`it has no tags (JSON field "values")`)
	}
	if len(read.Values) > maxTags {
		return nil, fmt.Errorf("it has %d tags, more than %d", len(read.Values), maxTags)
	}
	if len(read.Cloud) > maxText {
		return nil, fmt.Errorf("the cloud's name is longer than %d bytes", maxText)
	}
	tags := make([]Tag, 0, len(read.Values))
	seen := make(map[string]bool, len(read.Values))
	total := 0
	for number, value := range read.Values {
		tag, err := value.tag()
		if err != nil {
			return nil, fmt.Errorf("tag %d %.40q: %w", number+1, value.Name, err)
		}
		key := strings.ToLower(tag.Name)
		if seen[key] {
			return nil, fmt.Errorf("tag %d %q: the name stands there twice", number+1, tag.Name)
		}
		seen[key] = true
		if total += len(tag.Prefixes); total > maxPrefixes {
			return nil, fmt.Errorf("it has more than %d prefixes", maxPrefixes)
		}
		tags = append(tags, tag)
	}
	return newCatalogue(read.ChangeNumber, read.Cloud, tags), nil
}

// unpack reads the whole file, through gzip where its first two bytes say so (RFC 1952, section 2.3.1).
func unpack(r io.Reader) ([]byte, error) {
	buffered := bufio.NewReader(r)
	magic, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var source io.Reader = buffered
	if bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		if source, err = gzip.NewReader(buffered); err != nil {
			return nil, fmt.Errorf("unpack gzip: %w", err)
		}
	}
	text, err := io.ReadAll(io.LimitReader(source, maxFileBytes+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("it is cut off: the gzip data ends too early")
	case err != nil:
		return nil, err
	case len(text) > maxFileBytes:
		return nil, fmt.Errorf("it is larger than %d MiB unpacked", maxFileBytes>>20)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, errors.New("it is empty")
	}
	return text, nil
}

// jsonError says where the JSON is wrong, and tells a file that is cut off from one that is something else.
func jsonError(err error, text []byte) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax) && syntax.Offset >= int64(len(text)) && strings.Contains(err.Error(), "unexpected end"):
		return fmt.Errorf("it is cut off: the JSON ends too early, after %d bytes", len(text))
	case errors.As(err, &syntax):
		return fmt.Errorf("it is not JSON at byte %d: %w", syntax.Offset, err)
	case errors.As(err, &kind):
		return fmt.Errorf("it is not a service-tag file: field %q at byte %d is a %s", kind.Field, kind.Offset, kind.Value)
	}
	return err
}

// tag checks one entry of the file.
func (v value) tag() (Tag, error) {
	p := v.Properties
	if v.Name == "" {
		return Tag{}, errors.New("it has no name")
	}
	for _, text := range append([]string{v.Name, p.Region, p.Platform, p.SystemService}, p.NetworkFeatures...) {
		if len(text) > maxText {
			return Tag{}, fmt.Errorf("a text is longer than %d bytes", maxText)
		}
	}
	if len(p.AddressPrefixes) > maxPrefixes {
		return Tag{}, fmt.Errorf("it has more than %d prefixes", maxPrefixes)
	}
	prefixes := make([]netip.Prefix, 0, len(p.AddressPrefixes))
	for _, text := range p.AddressPrefixes {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return Tag{}, fmt.Errorf("prefix %.60q is none, such as 10.0.0.0/24", text)
		}
		if prefix != prefix.Masked() || prefix.Addr().Is4In6() {
			return Tag{}, fmt.Errorf("prefix %.60q is none: bits behind its length are set", text)
		}
		prefixes = append(prefixes, prefix)
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return Tag{
		Name: v.Name, SystemService: p.SystemService, Platform: p.Platform, Region: p.Region, RegionID: p.RegionID,
		Location: locationOf(v.Name, p.Region), ChangeNumber: p.ChangeNumber,
		NetworkFeatures: p.NetworkFeatures, Prefixes: slices.Compact(prefixes),
	}, nil
}
