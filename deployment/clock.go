package deployment

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

func now() time.Time { return time.Now().UTC() }

func newGUID() string { return uuid.NewString() }

// stamp writes a time as Azure does.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// since writes the time since a stamp as a duration in ISO 8601.
func since(started string) string {
	from, err := time.Parse(time.RFC3339Nano, started)
	if err != nil {
		return "PT0S"
	}
	return fmt.Sprintf("PT%.7fS", max(0, now().Sub(from).Seconds()))
}
