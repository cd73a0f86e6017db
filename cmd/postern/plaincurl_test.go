package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// plainCurl stands in for curl on a machine without it, with as much of its command line as the documents use: -s, -f, -H
// and a URL, and the proxies of the environment.
func plainCurl() {
	if err := fetch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "plaincurl:", err)
		os.Exit(1)
	}
}

func fetch(args []string) error {
	request, err := http.NewRequest(http.MethodGet, "", nil)
	if err != nil {
		return err
	}
	for len(args) > 0 {
		argument := args[0]
		args = args[1:]
		switch {
		case argument == "-H" && len(args) > 0:
			name, value, _ := strings.Cut(args[0], ":")
			request.Header.Set(name, strings.TrimSpace(value))
			args = args[1:]
		case strings.HasPrefix(argument, "-") && strings.Trim(argument, "-sf") == "":
		default:
			if request.URL, err = request.URL.Parse(argument); err != nil {
				return err
			}
		}
	}
	client := http.Client{Timeout: 30 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 400 {
		return fmt.Errorf("%s", response.Status)
	}
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}
