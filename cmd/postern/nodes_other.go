//go:build !linux

package main

import "github.com/spf13/cobra"

// nodeCommands are the processes of a node: the kernel data path's, so there are none here.
func nodeCommands(*app) []*cobra.Command { return nil }
