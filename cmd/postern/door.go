package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/spf13/cobra"

	"postern/control"
)

// doorFlags say where postern up opens the Resource Manager's door.
type doorFlags struct {
	listen, certificate, key string

	chosen bool // listen was given, so that another port will not do
	pair   *tls.Certificate
}

func (f *doorFlags) add(command *cobra.Command) {
	command.Flags().StringVar(&f.listen, "listen", control.DefaultListen, "`address` of the Resource Manager API for az, the SDKs and Terraform; http://… without TLS, on loopback alone; none for none")
	command.Flags().StringVar(&f.certificate, "tls-cert", "", "`file` with a certificate for that address (default: one of the cloud's own authority)")
	command.Flags().StringVar(&f.key, "tls-key", "", "`file` with the certificate's key")
}

func (f *doorFlags) read(command *cobra.Command) error {
	f.chosen = command.Flags().Changed("listen")
	if (f.certificate == "") != (f.key == "") {
		return errUsage{errors.New("--tls-cert and --tls-key belong together")}
	}
	if f.certificate == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(f.certificate, f.key)
	if err != nil {
		return fmt.Errorf("read the API's certificate: %w", err)
	}
	f.pair = &pair
	return nil
}

// open opens the door; nil for none. When nobody chose the address and another program has it, any port will do.
func (f *doorFlags) open(ctx context.Context, plane *control.Plane) (*control.Door, error) {
	if f.listen == "none" {
		return nil, nil
	}
	door, err := plane.OpenDoor(ctx, f.listen, f.pair)
	if err == nil || f.chosen || !errors.Is(err, syscall.EADDRINUSE) {
		return door, err
	}
	host, _, err := net.SplitHostPort(control.DefaultListen)
	if err != nil {
		return nil, err
	}
	return plane.OpenDoor(ctx, net.JoinHostPort(host, "0"), f.pair)
}

// sayDoor tells where the API is and, once, the owner's secret.
func sayDoor(w io.Writer, door *control.Door, dir string) {
	if door == nil {
		return
	}
	fmt.Fprintf(w, "Resource Manager API: %s   (another time, for Terraform, for the Azure SDK: postern env az|terraform|go)\n", door.URL)
	if door.Secret != "" {
		shown := door.Door
		shown.Secret = door.Secret
		fmt.Fprintf(w, "az works on it in any shell where you paste these two lines; the secret in them is shown this once:\n%s", azEnvironment(shown, dir))
	}
}
