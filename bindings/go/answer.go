package keyward

import (
	"net/http"
	"strconv"
	"sync"
)

// Answer is what the client is told of a verdict: the realm's words, or RFC 9457 problem+json where it has none.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// ContentType is the body's; empty where there is no body.
	ContentType string
	// Header has the other headers to send: WWW-Authenticate, Retry-After, and what later versions add.
	Header http.Header
	// Body is nil where there is none, as for a request that is allowed: the server answers that.
	Body []byte
}

// layout is kw_answer in shim.h, field by field: where the parts of an answer stand in a buffer.
type layout struct {
	status  uint32
	headers uint32
	at      [2 + 2*maxHeaders]uint64
	len     [2 + 2*maxHeaders]int64
}

func (l *layout) part(number int, buffer []byte) (part []byte, known bool) {
	if l.len[number] < 0 {
		return nil, false
	}
	return buffer[l.at[number] : l.at[number]+uint64(l.len[number])], true
}

var bufferPool = sync.Pool{New: func() any {
	buffer := make([]byte, 4096)
	return &buffer
}}

// Answer renders what the client is told of a verdict, with the words that the engine's current generation has for the
// realm. A verdict that says nothing is answered as unavailable.
func (e *Engine) Answer(realm string, verdict Verdict) (Answer, error) {
	h := e.held()
	if h == nil {
		return Answer{}, newError("answer", ErrClosed, "")
	}
	pooled := bufferPool.Get().(*[]byte)
	defer bufferPool.Put(pooled)
	buffer := *pooled
	var l layout
	scope := verdict.Scope()
	needed, status := h.render(realm, &verdict, scope, buffer, &l)
	for status == statusBuffer && needed > len(buffer) {
		buffer = make([]byte, needed)
		needed, status = h.render(realm, &verdict, scope, buffer, &l)
	}
	if status != statusOK {
		return Answer{}, newError("answer", status, "")
	}
	answer := Answer{Status: int(l.status), Header: make(http.Header, l.headers)}
	if text, known := l.part(0, buffer); known {
		answer.ContentType = string(text)
	}
	if body, known := l.part(1, buffer); known {
		answer.Body = append(make([]byte, 0, len(body)), body...)
	}
	for i := 0; i < int(l.headers) && i < maxHeaders; i++ {
		name, _ := l.part(2+2*i, buffer)
		value, _ := l.part(3+2*i, buffer)
		answer.Header.Add(string(name), string(value))
	}
	return answer, nil
}

// unavailable is what is answered where the engine cannot be asked.
func unavailable() Answer {
	return Answer{
		Status:      http.StatusServiceUnavailable,
		ContentType: "application/problem+json",
		Header:      http.Header{},
		Body:        []byte(`{"type":"about:blank","title":"Service Unavailable","status":503}`),
	}
}

// Send writes the answer to a client.
func (a Answer) Send(w http.ResponseWriter) {
	header := w.Header()
	for name, values := range a.Header {
		header[name] = append(header[name], values...)
	}
	if a.ContentType != "" {
		header.Set("Content-Type", a.ContentType)
	}
	header.Set("Content-Length", strconv.Itoa(len(a.Body)))
	w.WriteHeader(a.Status)
	// A client that has gone is nobody's to tell.
	_, _ = w.Write(a.Body)
}
