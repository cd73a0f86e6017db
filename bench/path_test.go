package bench

import (
	"testing"
	"os"
)
func TestTry(t *testing.T) {
	r, err := Path(t.Context(), Options{Progress: func(s string) { t.Log(s) }})
	r.WriteTable(os.Stdout)
	if err != nil { t.Fatal(err) }
}
