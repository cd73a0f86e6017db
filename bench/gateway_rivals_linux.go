package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"postern/lab"
	"postern/model"
)

// proxy is a process on the gateway's host.
type proxy struct {
	command *lab.Cmd
	input   io.Closer // nil: it reads nothing
	said    *lockedBuffer
	ended   chan struct{}
	err     error // why it ended; read after ended
}

// lockedBuffer takes what a process says.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// begins tells what was said first.
func (b *lockedBuffer) begins(with string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.HasPrefix(b.text.Bytes(), []byte(with))
}

// String is the beginning of what was said, on one line.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := strings.Join(strings.Fields(b.text.String()), " ")
	return text[:min(len(text), 400)]
}

// start runs the process of a way and waits until it answers.
func (s *street) start(ctx context.Context, by string) (*proxy, error) {
	switch by {
	case byHAProxy:
		return s.startHAProxy(ctx)
	case byNginx:
		return s.startNginx(ctx)
	}
	program := s.program
	if program == nil {
		own, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find the postern program: %w", err)
		}
		program = []string{own, "bench", "gateway-process"}
	}
	if by == byKernel {
		if err := s.MountBPF(s.pins()); err != nil {
			return nil, err
		}
	}
	orders, err := json.Marshal(s.orders(by))
	if err != nil {
		return nil, err
	}
	reader, writer := io.Pipe()
	one := s.command(program...)
	one.command.Stdin, one.input = reader, writer
	if err := one.start(); err != nil {
		return nil, err
	}
	go func() { _, _ = writer.Write(orders) }() // the process says what it misses
	return one, s.await(ctx, one, by)
}

// startHAProxy runs HAProxy in TCP mode: two threads, splicing, server names looked at. It logs nothing.
func (s *street) startHAProxy(ctx context.Context) (*proxy, error) {
	path, err := exec.LookPath("haproxy")
	if err != nil {
		return nil, fmt.Errorf("%w: install Debian's package haproxy", err)
	}
	var config strings.Builder
	fmt.Fprintf(&config, "global\n nbthread 2\n maxconn %d\n maxpipes 100\n stats socket %s mode 600\n", s.connections+100, s.haproxySocket())
	config.WriteString("defaults\n mode tcp\n option splice-auto\n timeout connect 10s\n timeout client 1h\n timeout server 1h\n")
	for _, one := range lanes {
		if one.name == laneHTTPS {
			continue
		}
		fmt.Fprintf(&config, "frontend %s\n bind %s\n", one.name, s.front(byHAProxy, one.name))
		if one.name == laneTLS {
			fmt.Fprintf(&config, " tcp-request inspect-delay 10s\n tcp-request content accept if { req.ssl_hello_type 1 }\n"+
				" use_backend %s if { req.ssl_sni -i %s }\n", one.name, hostOf(one.name))
		} else {
			fmt.Fprintf(&config, " default_backend %s\n", one.name)
		}
		if one.name == laneRaw || one.name == laneStream { // by itself it would not splice here; short messages are faster without
			config.WriteString(" option splice-request\n option splice-response\n")
		}
		fmt.Fprintf(&config, "backend %s\n server s %s\n", one.name, s.back(byHAProxy, one.name))
	}
	return s.startWithFile(ctx, byHAProxy, config.String(), path, "-db", "-f")
}

func (s *street) haproxySocket() string { return filepath.Join(s.folder, "haproxy.sock") }

// haproxySessions asks HAProxy how many connections its frontends have taken.
func (s *street) haproxySessions() (total int, err error) {
	conn, err := net.DialTimeout("unix", s.haproxySocket(), patience)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "show stat\n"); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		// pxname,svname,qcur,qmax,scur,smax,slim,stot,…
		if fields := strings.Split(lines.Text(), ","); len(fields) > 7 && fields[1] == "FRONTEND" {
			var sessions int
			if _, err := fmt.Sscan(fields[7], &sessions); err != nil {
				return 0, fmt.Errorf("read HAProxy's statistics: %w", err)
			}
			total += sessions
		}
	}
	return total, lines.Err()
}

// startNginx runs nginx with its stream module: two workers, server names looked at. It logs nothing.
func (s *street) startNginx(ctx context.Context) (*proxy, error) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		return nil, fmt.Errorf("%w: install Debian's packages nginx and libnginx-mod-stream", err)
	}
	module, err := streamModule(path)
	if err != nil {
		return nil, err
	}
	var config strings.Builder
	fmt.Fprintf(&config, "%suser root;\ndaemon off;\nworker_processes 2;\npid %s;\nerror_log stderr warn;\nworker_rlimit_nofile %d;\n"+
		"events { worker_connections %d; }\nstream {\n access_log off;\n proxy_timeout 1h;\n",
		module, filepath.Join(s.folder, "nginx.pid"), 2*s.connections+descriptorsBeside, 2*s.connections+descriptorsBeside/2)
	fmt.Fprintf(&config, " map $ssl_preread_server_name $named { %s %s; }\n", hostOf(laneTLS), s.back(byNginx, laneTLS))
	for _, one := range lanes {
		switch one.name {
		case laneHTTPS:
		case laneTLS:
			fmt.Fprintf(&config, " server { listen %s; ssl_preread on; proxy_pass $named; }\n", s.front(byNginx, one.name))
		default:
			fmt.Fprintf(&config, " server { listen %s; proxy_pass %s; }\n", s.front(byNginx, one.name), s.back(byNginx, one.name))
		}
	}
	config.WriteString("}\n")
	return s.startWithFile(ctx, byNginx, config.String(), path, "-c")
}

// streamModule is the line that loads nginx's stream module, where it is a file of its own.
func streamModule(nginx string) (string, error) {
	built, err := exec.Command(nginx, "-V").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ask nginx how it was built: %w", err)
	}
	folder := ""
	for _, word := range strings.Fields(string(built)) {
		if path, found := strings.CutPrefix(word, "--modules-path="); found {
			folder = path
		}
		if word == "--with-stream" {
			return "", nil
		}
	}
	file := filepath.Join(folder, "ngx_stream_module.so")
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("nginx has no stream module: %w: install Debian's package libnginx-mod-stream", err)
	}
	return "load_module " + file + ";\n", nil
}

// startWithFile runs a program whose last argument is its configuration's file.
func (s *street) startWithFile(ctx context.Context, by, config string, program ...string) (*proxy, error) {
	file := filepath.Join(s.folder, by+".conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	one := s.command(append(program, file)...)
	if err := one.start(); err != nil {
		return nil, err
	}
	return one, s.await(ctx, one, by)
}

func (s *street) command(program ...string) *proxy {
	one := &proxy{command: s.host.Command(context.Background(), program[0], program[1:]...), said: &lockedBuffer{}, ended: make(chan struct{})}
	one.command.Stdout, one.command.Stderr = one.said, one.said
	one.command.WaitDelay = patience
	return one
}

func (p *proxy) start() error {
	if err := p.command.Start(); err != nil {
		return err
	}
	go func() {
		p.err = p.command.Wait()
		close(p.ended)
	}()
	return nil
}

// await polls until every lane of a way takes connections. A process that does not is stopped.
func (s *street) await(ctx context.Context, one *proxy, by string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, lane := range lanes {
		if lane.name == laneHTTPS && by != byPassing || by == byKernel && lane.way != model.WayTCP {
			continue
		}
		for {
			conn, err := s.client.DialContext(ctx, "tcp", s.front(by, lane.name).String())
			if err == nil {
				conn.Close()
				// Before a gateway is ready, somebody else may answer: the host's own server, where the kernel judges.
				if by == byHAProxy || by == byNginx || one.said.begins(gatewayReady) {
					break
				}
				err = errors.New("it is not ready")
			}
			select {
			case <-one.ended:
				return fmt.Errorf("%s ended: %w: %s", by, one.err, one.said)
			case <-ctx.Done():
				one.stop()
				return errors.Join(fmt.Errorf("%s does not answer: %w: %s", by, err, one.said), context.Cause(ctx))
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	return nil
}

// stop asks the process to end, and ends it if it does not.
func (p *proxy) stop() {
	if p.input != nil {
		p.input.Close()
	}
	_ = p.command.Process.Signal(syscall.SIGTERM) // gone already, perhaps
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.command.Cancel()
		<-p.ended
	}
}
