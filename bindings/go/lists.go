package keyward

import (
	"net/http"
	"sync"
)

// lists has the texts of headers and scopes in one piece, since a list of strings may not be handed to C: it has
// pointers to memory that Go manages.
type lists struct {
	lengths []uint64
	texts   []byte
}

// What is larger than this is not kept for the next request.
const keptBytes, keptTexts = 64 << 10, 1 << 10

var listPool = sync.Pool{New: func() any {
	return &lists{lengths: make([]uint64, 0, 64), texts: make([]byte, 0, 2<<10)}
}}

func newLists() *lists {
	l := listPool.Get().(*lists)
	l.lengths, l.texts = l.lengths[:0], l.texts[:0]
	return l
}

// free wipes nothing: the request's own memory has the same credentials, for as long as the garbage collector likes.
func (l *lists) free() {
	if cap(l.texts) <= keptBytes && cap(l.lengths) <= keptTexts {
		listPool.Put(l)
	}
}

func (l *lists) add(text string) {
	l.lengths = append(l.lengths, uint64(len(text)))
	l.texts = append(l.texts, text...)
}

func (l *lists) addHeaders(headers http.Header) (count int) {
	// Local, so that they need not be written back for each.
	lengths, texts := l.lengths, l.texts
	for name, values := range headers {
		for _, value := range values {
			lengths = append(lengths, uint64(len(name)), uint64(len(value)))
			texts = append(append(texts, name...), value...)
		}
		count += len(values)
	}
	l.lengths, l.texts = lengths, texts
	return count
}
