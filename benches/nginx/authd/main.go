// Authd answers nginx's auth_request on a Unix socket: 204 where the SHA-256 of the bearer key is known, else 401.
//
//	authd SOCKET KEYS
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: authd SOCKET KEYS")
	}
	known, err := digests(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	// nginx's workers may run as another user.
	if err := os.Chmod(os.Args[1], 0o666); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d keys\n", len(known))
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		header := request.Header.Get("Authorization")
		key := strings.TrimPrefix(header, "Bearer ")
		if _, found := known[sha256.Sum256([]byte(key))]; found && len(key) < len(header) {
			writer.WriteHeader(http.StatusNoContent)
		} else {
			writer.WriteHeader(http.StatusUnauthorized)
		}
	})))
}

func digests(path string) (map[[32]byte]struct{}, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	known := map[[32]byte]struct{}{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		known[sha256.Sum256(lines.Bytes())] = struct{}{}
	}
	return known, lines.Err()
}
