package cloud

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway"
)

// The bounds of access logs reach the gateways: full parts are renamed, and no more are kept than were wished.
func TestAccessLogBounds(t *testing.T) {
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		t.Cleanup(cancel)
		cloud, err := Start(ctx, Options{DataPath: dataPath, Program: program, Log: testLog(t), AccessLog: gateway.LogFile{MaxBytes: 1 << 20, MaxParts: 1}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeCloud(t, cloud) })
		s := &stage{Cloud: cloud, t: t, ctx: ctx}
		s.apply(application...)
		s.apply(subnet("vnet/app", "10.13.76.0/24", withStorage), account(own, "westeurope", "defaultAction: Deny"))
		conn := s.mustConnect(s.machine("nic-app"), s.lookup(own).String()+":80")
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(limit))
		reader := bufio.NewReader(conn)
		path := "/" + strings.Repeat("a", 2000)
		for range 1500 { // of more than 2 KB each: three parts
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s.table.core.windows.net\r\n\r\n", path, own)
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			if response.StatusCode != http.StatusForbidden {
				t.Fatalf("got %s", response.Status)
			}
		}
		s.eventually("find one renamed part, and that not the first", func() error {
			parts, err := filepath.Glob(filepath.Join(s.Dir(), "logs", "*.jsonl.*"))
			if err == nil && (len(parts) != 1 || strings.HasSuffix(parts[0], ".1")) {
				err = fmt.Errorf("there are %v", parts)
			}
			return err
		})
	})
}
