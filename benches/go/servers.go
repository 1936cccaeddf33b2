package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	keyward "github.com/keyward/keyward/bindings/go"
)

// The servers: each is a process of its own with one thread of Go's, so that its processor time is its own.
var servers = []string{"net/http", "with map and SHA-256", "with keyward.Handler"}

// connections are kept alive and asked in turns.
const connections = 16

// serve is the server's side: it prints its address, answers, and tells its processor time at /used.
func serve(name, folder string, count int) error {
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"orders":[]}`)
	})
	switch name {
	case servers[1]:
		known := make(map[[32]byte]struct{}, count)
		for _, key := range shuffled(count) {
			known[sha256.Sum256([]byte(key))] = struct{}{}
		}
		next := handler
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if _, is := known[sha256.Sum256([]byte(key))]; !is {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	case servers[2]:
		engine, err := keyward.Open(snapshotIn(folder), keyringIn(folder), nil)
		if err != nil {
			return err
		}
		handler = keyward.Handler(engine, "api")(handler)
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.HandleFunc("/used", func(w http.ResponseWriter, _ *http.Request) {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, used.Utime.Nano()+used.Stime.Nano())
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, mux)
}

// running is a server's process.
type running struct {
	process *exec.Cmd
	address string
}

func start(name, folder string, count int) (*running, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	process := exec.Command(self, "-serve", name, "-folder", folder, "-keys", strconv.Itoa(count))
	process.Env = append(os.Environ(), "GOMAXPROCS=1")
	process.Stderr = os.Stderr
	output, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	address, err := bufio.NewReader(output).ReadString('\n')
	return &running{process, strings.TrimSpace(address)}, err
}

func (r *running) stop() {
	_ = r.process.Process.Kill()
	_ = r.process.Wait()
}

// used is the server's processor time in nanoseconds.
func (r *running) used() (float64, error) {
	response, err := http.Get("http://" + r.address + "/used")
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(string(text), 64)
}

func compareServers(folder string, count, rounds int, turn time.Duration) ([]Serve, error) {
	// The rest of the machine is the server's.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	keys := shuffled(count)
	all := make([]*running, len(servers))
	for i, name := range servers {
		server, err := start(name, folder, count)
		if server != nil {
			defer server.stop()
		}
		if err != nil {
			return nil, err
		}
		all[i] = server
	}
	costs, rates := make([][]float64, len(all)), make([][]float64, len(all))
	for round := -1; round < rounds; round++ {
		for i, server := range all {
			before, err := server.used()
			if err != nil {
				return nil, err
			}
			start := time.Now()
			requests, err := load(server.address, keys, turn)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", servers[i], err)
			}
			took := time.Since(start)
			after, err := server.used()
			if err != nil {
				return nil, err
			}
			if round >= 0 {
				costs[i] = append(costs[i], (after-before)/float64(requests)/1000)
				rates[i] = append(rates[i], float64(requests)/took.Seconds())
			}
		}
	}
	figures := make([]Serve, len(all))
	for i, name := range servers {
		ratios := make([]float64, rounds)
		for round := range ratios {
			ratios[round] = costs[i][round] / costs[0][round]
		}
		figures[i] = Serve{name, median(costs[i]), median(rates[i]), median(ratios)}
	}
	return figures, nil
}

// load asks for as long as a turn is, and returns how often. Whatever is not 200 ends the run: what is compared are right
// answers.
func load(address string, keys []string, turn time.Duration) (int, error) {
	var all sync.WaitGroup
	counts, errs := make([]int, connections), make([]error, connections)
	end := time.Now().Add(turn)
	for n := 0; n < connections; n++ {
		all.Add(1)
		go func(n int) {
			defer all.Done()
			counts[n], errs[n] = ask(address, keys, n, end)
		}(n)
	}
	all.Wait()
	total := 0
	for n, err := range errs {
		if err != nil {
			return 0, err
		}
		total += counts[n]
	}
	return total, nil
}

func ask(address string, keys []string, first int, end time.Time) (int, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for count := 0; ; count++ {
		if !time.Now().Before(end) {
			return count, nil
		}
		key := keys[(first+count*connections)%len(keys)]
		message := "GET /v1/orders HTTP/1.1\r\nHost: api.example.com\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n" +
			"User-Agent: compare/1.0\r\nAuthorization: Bearer " + key + "\r\n\r\n"
		if _, err := io.WriteString(conn, message); err != nil {
			return count, err
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return count, err
		}
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if err != nil {
			return count, err
		}
		if response.StatusCode != http.StatusOK {
			return count, fmt.Errorf("a good key was answered %s", response.Status)
		}
	}
}
