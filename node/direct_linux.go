package node

import (
	"errors"
	"fmt"
	"log/slog"

	"postern/datapath/kernel"
)

// DirectOptions say where a gateway judges packets to instances' own addresses. The process must be in the network
// namespace of the interfaces.
type DirectOptions struct {
	Name     string // of the node
	Pins     string // folder on a bpffs
	Fabric   string // interface toward the fabric; "": nowhere
	Internet string // interface toward the Internet; "": there is none
}

// OpenDirect opens the kernel's judge, or answers nil where none is wanted or the kernel has none: then sockets pass
// connections to own addresses through.
func OpenDirect(options DirectOptions, log *slog.Logger) (Direct, error) {
	if options.Fabric == "" {
		return nil, nil
	}
	driver, err := kernel.OpenDirect(kernel.DirectOptions{
		Pins: PinsOf(options.Pins, options.Name), Fabric: options.Fabric, Internet: options.Internet,
	})
	var missing *kernel.NotSupportedError
	if errors.As(err, &missing) {
		log.Warn("own addresses are not judged in the kernel; sockets pass their connections through", "error", err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", options.Name, err)
	}
	return driver, nil
}
