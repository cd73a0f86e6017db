package cloud

import (
	"fmt"
	"net/http"
	"testing"
)

// A gateway is killed while a VM writes rows, twice. Each row that was answered is there when the gateway is back, and so is
// its table.
func TestTablesOutliveTheGateway(t *testing.T) {
	needKernel(t)
	s := start(t, Kernel, "", application...)
	app := s.machine("nic-app")
	token, client := s.token(app), s.client(app, "")
	s.makeTable(client, own, token)
	address := "http://" + tableHost(own) + "/operations"
	var answered []string
	for range 2 {
		enough, gone := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(gone)
			for written := 0; ; written++ {
				if written == 20 {
					close(enough)
				}
				row := fmt.Sprint(allRows.Add(1))
				got, err := s.ask(client, http.MethodPost, address, token, map[string]any{"PartitionKey": "p", "RowKey": row})
				if err != nil || got.status != http.StatusCreated {
					if written < 20 {
						t.Errorf("before the gateway was killed: %+v, %v", got, err)
						close(enough)
					}
					return
				}
				answered = append(answered, row)
			}
		}()
		<-enough
		s.kill("gateway-we")
		<-gone
		s.eventually("wait for the gateway", func() error {
			if got, err := s.ask(client, http.MethodGet, address+"(PartitionKey='p',RowKey='"+answered[0]+"')", token, nil); err != nil || got.status != http.StatusOK {
				return fmt.Errorf("%+v, %w", got, err)
			}
			return nil
		})
		for _, row := range answered {
			if got, err := s.ask(client, http.MethodGet, address+"(PartitionKey='p',RowKey='"+row+"')", token, nil); err != nil || got.status != http.StatusOK {
				t.Errorf("row %s of %d that were answered: %+v, %v", row, len(answered), got, err)
			}
		}
	}
}
