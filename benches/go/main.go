// Compare measures what a check of a key costs in Go, in one run: a map with SHA-256, the C call by itself, and the Go
// package; and net/http with and without the middleware.
//
//	compare -cli ../../target/release/keyward -json comparison.json -picture comparison.svg
//	compare -draw comparison.json -picture comparison.svg
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"time"
)

// Report is what was measured, as it stands in the JSON file.
type Report struct {
	Go       string  `json:"go"`
	Keys     int     `json:"keys"`
	Rounds   int     `json:"rounds"`
	Calls    []Call  `json:"calls"`
	HTTP     []Serve `json:"http"`
	Seconds  float64 `json:"seconds_of_a_turn"`
	Machine  string  `json:"machine"`
	Measured string  `json:"measured"`
}

// Call is a way to check a key. Times are medians of the rounds, in nanoseconds of the processor.
type Call struct {
	Name        string  `json:"name"`
	Nanoseconds float64 `json:"ns"`
	// Over is what it costs more than the C call, the median of the rounds' differences.
	Over *float64 `json:"over_the_c_call_ns,omitempty"`
	// Ratio is to the map, the median of the rounds' ratios.
	Ratio       float64 `json:"ratio_to_map"`
	Allocations float64 `json:"allocations"`
}

// Serve is a server. Times are medians of the rounds, in microseconds of the server's processor time for a request.
type Serve struct {
	Name         string  `json:"name"`
	Microseconds float64 `json:"processor_us"`
	Rate         float64 `json:"requests_per_second"`
	Ratio        float64 `json:"ratio_to_plain"`
}

func main() {
	log.SetFlags(0)
	cli := flag.String("cli", "../../target/release/keyward", "the keyward command")
	keys := flag.Int("keys", 100_000, "keys in the snapshot and in the map")
	rounds := flag.Int("rounds", 15, "rounds, in each of which every server has a turn")
	turn := flag.Duration("turn", time.Second, "how long a server is asked in a turn")
	written := flag.String("json", "", "the file to write the figures to")
	picture := flag.String("picture", "", "the file to draw them to")
	drawn := flag.String("draw", "", "draw these figures and measure nothing")
	served := flag.String("serve", "", "for its own use: be a server")
	folder := flag.String("folder", "", "for its own use: where the server's files are")
	flag.Parse()

	if *served != "" {
		log.Fatal(serve(*served, *folder, *keys))
	}
	report, err := made(*drawn, *cli, *keys, *rounds, *turn)
	if err != nil {
		log.Fatal(err)
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		log.Fatal(err)
	}
	if *written != "" {
		if err := os.WriteFile(*written, append(text, '\n'), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	if *picture != "" {
		if err := os.WriteFile(*picture, []byte(draw(report)), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

func made(drawn, cli string, keys, rounds int, turn time.Duration) (*Report, error) {
	report := &Report{}
	if drawn != "" {
		text, err := os.ReadFile(drawn)
		if err != nil {
			return nil, err
		}
		return report, json.Unmarshal(text, report)
	}
	folder, err := os.MkdirTemp("", "keyward-go-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	if err := build(cli, folder, keys); err != nil {
		return nil, err
	}
	report.Go, report.Keys, report.Rounds, report.Seconds = runtime.Version(), keys, rounds, turn.Seconds()
	report.Machine = fmt.Sprintf("%d processors, %s/%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	report.Measured = time.Now().UTC().Format("2006-01-02")
	if report.Calls, err = compareCalls(folder, keys); err != nil {
		return nil, err
	}
	for _, call := range report.Calls {
		over := ""
		if call.Over != nil {
			over = fmt.Sprintf("  %+.0f ns over the C call", *call.Over)
		}
		fmt.Printf("%-38s %6.0f ns  %.2f x map  %.0f allocations%s\n", call.Name, call.Nanoseconds, call.Ratio, call.Allocations, over)
	}
	if report.HTTP, err = compareServers(folder, keys, rounds, turn); err != nil {
		return nil, err
	}
	for _, server := range report.HTTP {
		fmt.Printf("%-38s %6.2f us  %.3f x plain  %.0f requests/s\n", server.Name, server.Microseconds, server.Ratio, server.Rate)
	}
	return report, nil
}
