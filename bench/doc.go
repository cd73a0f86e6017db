// Package bench measures the data path beside what it should be as good as: both in one run, on the same wires, in turn,
// so that whatever else the machine does meets both. What it reports are ratios with their spread, and whether they keep
// the promises of the design.
//
// API is `postern bench api` and Control is `postern bench control`: the management API and the control plane behind it,
// against bounds on their own times, on any machine.
//
// Gateway is `postern bench gateway`: the services' side beside HAProxy, nginx and plain routing. Like Path it needs Linux and
// root.
//
// Path is `postern bench path`. It needs what a lab and the kernel data path need: Linux and root. Elsewhere it
// returns a *lab.PrerequisiteError.
package bench
