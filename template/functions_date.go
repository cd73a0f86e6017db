package template

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// dateFunctions work on times in UTC, written in the forms of .NET for the invariant culture.
var dateFunctions = map[string]function{
	"utcNow":            eager(0, 1, utcNow),
	"dateTimeAdd":       eager(2, 3, dateTimeAdd),
	"dateTimeFromEpoch": one(fromEpoch),
	"dateTimeToEpoch":   one(toEpoch),
	"newGuid":           eager(0, 0, newGUID),
}

// sortable is the form that utcNow() has when none is asked for.
const sortable = "yyyyMMddTHHmmssZ"

func utcNow(s *scope, arguments []any) (any, error) {
	if err := s.onlyInDefaults("utcNow"); err != nil {
		return nil, err
	}
	now, err := time.Parse(time.RFC3339Nano, s.where.Now())
	if err != nil {
		return nil, err
	}
	if len(arguments) == 0 {
		return formatTime(now, sortable)
	}
	form, err := textAt(arguments, 0)
	if err != nil {
		return nil, err
	}
	return formatTime(now, form)
}

func newGUID(s *scope, _ []any) (any, error) {
	if err := s.onlyInDefaults("newGuid"); err != nil {
		return nil, err
	}
	return s.where.NewGUID(), nil
}

func (s *scope) onlyInDefaults(name string) error {
	if s.place == inDefault {
		return nil
	}
	return final("The template function '%s' is not expected at this location. It can only be used in the default value of a parameter. "+
		"Please see https://aka.ms/arm-functions for usage details.", name)
}

// timeForms are the forms that a time may be given in, with what writes it again.
var timeForms = []struct{ layout, form string }{
	{"20060102T150405Z", sortable},
	{"2006-01-02 15:04:05Z", "u"},
	{time.RFC3339Nano, "yyyy-MM-ddTHH:mm:ssZ"},
	{"2006-01-02T15:04:05", "s"},
	{"2006-01-02T15:04:05.9999999Z", "o"},
	{"2006-01-02", "yyyy-MM-dd"},
	{"01/02/2006 15:04:05", "MM/dd/yyyy HH:mm:ss"},
	{"01/02/2006", "d"},
	{time.RFC1123, "r"},
}

// dateTimeAdd adds an ISO 8601 duration. Without a form the answer has that of the base.
func dateTimeAdd(_ *scope, arguments []any) (any, error) {
	list, err := texts(arguments)
	if err != nil {
		return nil, err
	}
	base, form, err := parseTime(list[0])
	if err != nil {
		return nil, err
	}
	if len(list) == 3 {
		form = list[2]
	}
	moved, err := addDuration(base, list[1])
	if err != nil {
		return nil, err
	}
	return formatTime(moved, form)
}

func parseTime(text string) (time.Time, string, error) {
	for _, known := range timeForms {
		if at, err := time.Parse(known.layout, text); err == nil {
			return at.UTC(), known.form, nil
		}
	}
	return time.Time{}, "", fmt.Errorf("the text '%.80s' is no time in ISO 8601", text)
}

var durationForm = regexp.MustCompile(`^(-)?P(?:(\d{1,5})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,7})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?$`)

func addDuration(base time.Time, text string) (time.Time, error) {
	parts := durationForm.FindStringSubmatch(text)
	if parts == nil || strings.HasSuffix(text, "P") || strings.HasSuffix(text, "T") {
		return base, fmt.Errorf("the text '%.80s' is no duration in ISO 8601, such as P1Y2M10DT2H30M", text)
	}
	var amounts [7]int
	for i := range amounts {
		amounts[i], _ = strconv.Atoi(parts[i+2]) // digits, or nothing
		if parts[1] != "" {
			amounts[i] = -amounts[i]
		}
	}
	moved := base.AddDate(amounts[0], amounts[1], 7*amounts[2]+amounts[3]).
		Add(time.Duration(amounts[4])*time.Hour + time.Duration(amounts[5])*time.Minute + time.Duration(amounts[6])*time.Second)
	if moved.Year() < 1 || moved.Year() > 9999 {
		return base, fmt.Errorf("the sum lies outside the years 1 to 9999")
	}
	return moved, nil
}

func fromEpoch(value any) (any, error) {
	seconds, err := numberAt([]any{value}, 0)
	if err != nil {
		return nil, err
	}
	if seconds < -62135596800 || seconds > 253402300799 {
		return nil, fmt.Errorf("the time lies outside the years 1 to 9999")
	}
	return formatTime(time.Unix(seconds, 0), "yyyy-MM-ddTHH:mm:ssZ")
}

func toEpoch(value any) (any, error) {
	text, err := textAt([]any{value}, 0)
	if err != nil {
		return nil, err
	}
	at, _, err := parseTime(text)
	return at.Unix(), err
}

// standardForms are .NET's standard date and time formats, as custom ones.
var standardForms = map[string]string{
	"d": "MM/dd/yyyy", "D": "dddd, dd MMMM yyyy", "f": "dddd, dd MMMM yyyy HH:mm", "F": "dddd, dd MMMM yyyy HH:mm:ss", "g": "MM/dd/yyyy HH:mm",
	"G": "MM/dd/yyyy HH:mm:ss", "m": "MMMM dd", "M": "MMMM dd", "o": "yyyy-MM-ddTHH:mm:ss.fffffffZ", "O": "yyyy-MM-ddTHH:mm:ss.fffffffZ",
	"r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'", "R": "ddd, dd MMM yyyy HH:mm:ss 'GMT'", "s": "yyyy-MM-ddTHH:mm:ss", "t": "HH:mm", "T": "HH:mm:ss",
	"u": "yyyy-MM-dd HH:mm:ssZ", "y": "yyyy MMMM", "Y": "yyyy MMMM",
}

// customParts are the parts of custom formats, longest first, with Go's layouts for them.
var customParts = []struct{ part, layout string }{
	{"yyyy", "2006"}, {"yy", "06"}, {"MMMM", "January"}, {"MMM", "Jan"}, {"MM", "01"}, {"M", "1"}, {"dddd", "Monday"}, {"ddd", "Mon"},
	{"dd", "02"}, {"d", "2"}, {"HH", "15"}, {"hh", "03"}, {"h", "3"}, {"mm", "04"}, {"m", "4"}, {"ss", "05"}, {"s", "5"}, {"tt", "PM"},
	{"fffffff", ".0000000"}, {"ffffff", ".000000"}, {"fffff", ".00000"}, {"ffff", ".0000"}, {"fff", ".000"}, {"ff", ".00"}, {"f", ".0"},
}

// formatTime writes a time in a standard or custom form of .NET.
func formatTime(at time.Time, form string) (string, error) {
	at = at.UTC()
	if standard, ok := standardForms[form]; ok {
		form = standard
	} else if len(form) < 2 {
		return "", fmt.Errorf("the date format '%.20s' is not known", form)
	}
	form = strings.TrimPrefix(form, "%")
	var b strings.Builder
	for len(form) > 0 {
		if b.Len() > maxPadding {
			return "", fmt.Errorf("the date format is too long")
		}
		if c := form[0]; c == '\'' || c == '"' {
			end := strings.IndexByte(form[1:], c)
			if end < 0 {
				return "", fmt.Errorf("the date format has a quote without its end")
			}
			b.WriteString(form[1 : end+1])
			form = form[end+2:]
			continue
		}
		if form[0] == '\\' && len(form) > 1 {
			b.WriteByte(form[1])
			form = form[2:]
			continue
		}
		if form[0] == 'H' && !strings.HasPrefix(form, "HH") { // Go has no hour of 24 without its zero
			b.WriteString(strconv.Itoa(at.Hour()))
			form = form[1:]
			continue
		}
		piece := form[:1]
		for _, custom := range customParts {
			if strings.HasPrefix(form, custom.part) {
				// Go takes fractions behind a point or a comma alone.
				b.WriteString(strings.TrimPrefix(at.Format(custom.layout), "."))
				form, piece = form[len(custom.part):], ""
				break
			}
		}
		b.WriteString(piece)
		form = form[len(piece):]
	}
	return b.String(), nil
}
