//go:build cgo

package keyward

import (
	"encoding/binary"
	"net/http"
	"sync"
)

// lists has the texts of headers and scopes in one piece, each header as two lengths and its name and value, each scope
// as a length and its text. A list of strings may not be handed to C, since it has pointers to memory that Go manages,
// and copying texts takes less time than pinning them.
type lists struct {
	// As long as there is room; the first used bytes are in use.
	bytes []byte
	used  int
}

// What is larger than this is not kept for the next request.
const keptBytes = 64 << 10

// lengthSize is the bytes of a length, which kw_next in shim.h reads.
const lengthSize = 8

var listPool = sync.Pool{New: func() any { return &lists{bytes: make([]byte, 2<<10)} }}

func newLists() *lists {
	l := listPool.Get().(*lists)
	l.used = 0
	return l
}

// free wipes nothing: the request's own memory has the same credentials, for as long as the garbage collector likes.
func (l *lists) free() {
	if len(l.bytes) <= keptBytes {
		listPool.Put(l)
	}
}

// add takes the lists of a call, and returns how many headers that makes.
func (l *lists) add(c *call) (headers int) {
	headers = l.addHeaders(c.fields)
	for i := range c.list {
		l.bytes, l.used = withHeader(l.bytes, l.used, c.list[i].Name, c.list[i].Value)
	}
	for _, scope := range c.scopes {
		l.addScope(scope)
	}
	return headers + len(c.list)
}

func (l *lists) addHeaders(headers http.Header) (count int) {
	// Local, so that they need not be written back for each.
	bytes, used := l.bytes, l.used
	for name, values := range headers {
		for _, value := range values {
			bytes, used = withHeader(bytes, used, name, value)
			count++
		}
	}
	l.bytes, l.used = bytes, used
	return count
}

func withHeader(bytes []byte, used int, name, value string) ([]byte, int) {
	end := used + 2*lengthSize + len(name) + len(value)
	if end > len(bytes) {
		bytes = grown(bytes[:used], end)
	}
	header := bytes[used:end]
	binary.LittleEndian.PutUint64(header, uint64(len(name)))
	binary.LittleEndian.PutUint64(header[lengthSize:], uint64(len(value)))
	copy(header[2*lengthSize:], name)
	copy(header[2*lengthSize+len(name):], value)
	return bytes, end
}

func (l *lists) addScope(scope string) {
	end := l.used + lengthSize + len(scope)
	if end > len(l.bytes) {
		l.bytes = grown(l.bytes[:l.used], end)
	}
	binary.LittleEndian.PutUint64(l.bytes[l.used:], uint64(len(scope)))
	copy(l.bytes[l.used+lengthSize:], scope)
	l.used = end
}

// grown has room for so many bytes, and for as many again.
func grown(bytes []byte, needed int) []byte {
	more := make([]byte, 2*needed)
	copy(more, bytes)
	return more
}
