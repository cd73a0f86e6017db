package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// dirVariable is the environment variable that names the state folder.
const dirVariable = "POSTERN_DIR"

// stateDir is the folder that holds a cloud's state: the store, the sockets, the logs. It is, in this order, the flag's
// value, that of POSTERN_DIR, and the user's own folder: $XDG_STATE_HOME/postern, which is ~/.local/state/postern where
// that is not set; on macOS and Windows "postern" in the user's cache folder. Root has another folder than the user who
// became root by sudo. The folder is not made.
func stateDir(flag string) (string, error) {
	if flag != "" {
		return filepath.Abs(flag)
	}
	if dir := os.Getenv(dirVariable); dir != "" {
		return filepath.Abs(dir)
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the state folder: %w: set --dir or %s", err, dirVariable)
		}
		return filepath.Join(cache, "postern"), nil
	}
	// The XDG base directory specification takes absolute paths alone.
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "postern"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the state folder: %w: set --dir or %s", err, dirVariable)
	}
	return filepath.Join(home, ".local", "state", "postern"), nil
}
