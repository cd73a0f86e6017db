package bench

import (
	"os"
	"testing"
)

func TestTry(t *testing.T) {
	err := programRows(t.Context(), Options{Pairs: 5, Runs: 20000}, func(c comparison) error {
		row, err := c.row(t.Context(), 5)
		Report{[]Row{row}}.WriteTable(os.Stdout)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
