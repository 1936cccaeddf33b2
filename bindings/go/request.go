package keyward

import (
	"net"
	"net/http"
	"strings"
)

// Request is a request from elsewhere than net/http, as it was received. [Engine.Verify] takes an *http.Request.
type Request struct {
	// Method is empty for GET.
	Method string
	// Target is the path as sent, still escaped; it is read up to the first '?'. Empty is refused; [WithoutRoutes] says
	// that there is none.
	Target string
	// Host is what the client asked for as host. A Host header in the list is not looked at.
	Host string
	// Peer is the other end of the connection: an IP address without a port, or "unix:". Anything else is nobody known.
	Peer string
	// TLS says whether the request came over TLS.
	TLS bool
	// Headers has every header field as received, in order, repeats included.
	Headers []Header
}

// Header is a header field: any bytes, as Go's strings are.
type Header struct {
	Name, Value string
}

// call is a request, or a key, on its way to C.
type call struct {
	flags, family  uint32
	realm          string
	method         string
	path           string
	host           string
	peer           string
	environment    string
	hasEnvironment bool
	// The key by itself, where isKey is set.
	key   string
	isKey bool
	// Headers come as net/http has them, or as a list.
	fields      http.Header
	list        []Header
	scopes      []string
	seconds     uint64
	nanoseconds uint32
	listScopes  bool
}

// Verify decides a request that net/http received, for a realm of the snapshot. Only verdict.Allowed() lets it in; an
// error says that the call could not decide, and comes with the zero Verdict, which denies.
//
// What is decided about is what the client sent: the target of the request line (r.RequestURI), whatever middleware
// like http.StripPrefix made of r.URL since; r.Host; r.RemoteAddr; r.TLS; and r.Header. Requests without a RequestURI,
// which no server received, are taken by their r.URL.
//
// An allowed request allocates nothing.
func (e *Engine) Verify(r *http.Request, realm string, options ...Option) (verdict Verdict, err error) {
	if len(options) == 0 {
		err = e.verify(r, realm, &noSettings, &verdict)
		return verdict, err
	}
	s := settingsOf(options)
	err = e.verify(r, realm, &s, &verdict)
	return verdict, err
}

// noSettings is never written to.
var noSettings settings

func (e *Engine) verify(r *http.Request, realm string, s *settings, verdict *Verdict) error {
	h := e.held()
	if h == nil {
		return newError("verify", ErrClosed, "")
	}
	if r == nil {
		return newError("verify", ErrNoRequest, "")
	}
	var status Status
	if s.saysMore {
		status = h.verifySettled(r, realm, s, verdict)
	} else {
		status = h.verify(r, realm, verdict)
	}
	if status != statusOK {
		*verdict = Verdict{}
		return newError("verify", status, "")
	}
	return nil
}

func (h *handle) verifySettled(r *http.Request, realm string, s *settings, verdict *Verdict) Status {
	c, status := received(r, realm, s)
	if status == statusOK {
		status = h.decide(&c, verdict)
	}
	return status
}

// VerifyRequest decides a request from elsewhere than net/http.
func (e *Engine) VerifyRequest(r *Request, realm string, options ...Option) (verdict Verdict, err error) {
	h := e.held()
	if h == nil {
		return Verdict{}, newError("verify", ErrClosed, "")
	}
	if r == nil {
		return Verdict{}, newError("verify", ErrNoRequest, "")
	}
	s := settingsOf(options)
	c := call{realm: realm, method: r.Method, path: r.Target, host: r.Host, peer: r.Peer, list: r.Headers}
	if r.TLS {
		c.flags |= flagTLS
	}
	c, status := c.settled(&s, nil)
	if status == statusOK {
		status = h.decide(&c, &verdict)
	}
	if status != statusOK {
		return Verdict{}, newError("verify", status, "")
	}
	return verdict, nil
}

// VerifyKey decides about a key by itself, that came in a message, over a connection or the like. It is decided as if
// it stood where the realm takes its key from. There is no path, host, peer and TLS unless options say so, so that a
// realm with require_tls wants [WithTLS].
//
// An allowed key allocates nothing.
func (e *Engine) VerifyKey(realm, key string, options ...Option) (verdict Verdict, err error) {
	h := e.held()
	if h == nil {
		return Verdict{}, newError("verify key", ErrClosed, "")
	}
	var status Status
	if len(options) == 0 {
		status = h.verifyKey(realm, key, &verdict)
	} else {
		status = h.verifyKeySettled(realm, key, options, &verdict)
	}
	if status != statusOK {
		return Verdict{}, newError("verify key", status, "")
	}
	return verdict, nil
}

func (h *handle) verifyKeySettled(realm, key string, options []Option, verdict *Verdict) Status {
	s := settingsOf(options)
	s.unrouted = s.unrouted || !s.routed
	c, status := call{realm: realm, key: key, isKey: true}.settled(&s, nil)
	if status == statusOK {
		status = h.decide(&c, verdict)
	}
	return status
}

// received takes the request as net/http received it, and then what the settings say of it.
//
// A call goes by value here: stored through a pointer, the caller's options would be taken to live on, and be
// allocated.
func received(r *http.Request, realm string, s *settings) (call, Status) {
	c := call{realm: realm, method: r.Method, path: target(r), host: r.Host, fields: r.Header}
	c.family, c.peer = peer(r)
	if r.TLS != nil {
		c.flags = flagTLS
	}
	return c.settled(s, r)
}

func (c call) settled(s *settings, r *http.Request) (call, Status) {
	switch {
	case s.hasTLS && s.tls, s.tlsOf != nil && r != nil && s.tlsOf(r):
		c.flags |= flagTLS
	case s.hasTLS, s.tlsOf != nil && r != nil:
		c.flags &^= flagTLS
	}
	if s.unrouted {
		c.flags |= flagUnrouted
		c.path = ""
	}
	if s.routed {
		c.method, c.path = s.method, s.path
	}
	if s.hasHost {
		c.host = s.host
	}
	if s.hasPeer {
		c.family, c.peer = familyText, s.peer
	}
	c.environment, c.hasEnvironment = s.environment, s.hasEnvironment
	c.scopes, c.listScopes = s.scopes, s.listScopes
	if now, known := s.now(); known {
		seconds := now.Unix()
		if seconds < 0 {
			return call{}, ErrValue
		}
		c.flags |= flagHasNow
		c.seconds, c.nanoseconds = uint64(seconds), uint32(now.Nanosecond())
	}
	return c, statusOK
}

// target is the path as the client sent it, still escaped, perhaps with a query behind it.
func target(r *http.Request) string {
	sent := r.RequestURI
	switch {
	case sent == "" && r.URL != nil:
		return r.URL.EscapedPath()
	case sent == "" || sent[0] == '/':
		return sent
	}
	// The absolute form of RFC 9112 section 3.2.2, whose host is r.Host: its path is meant.
	scheme := strings.Index(sent, "://")
	if scheme <= 0 || strings.ContainsAny(sent[:scheme], "/?#") {
		return sent
	}
	rest := sent[scheme+3:]
	end := strings.IndexAny(rest, "/?#")
	if end < 0 || rest[end] == '?' {
		// RFC 9110 section 4.2.3: an empty path is the same as "/".
		return "/"
	}
	return rest[end:]
}

// peer is the other end of the connection, without its port.
func peer(r *http.Request) (family uint32, address string) {
	address = r.RemoteAddr
	if address == "" || address[0] == '@' || address[0] == '/' {
		// What a Unix socket's other end is called, if anything; but only the server knows that it is one.
		if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == "unix" {
			return familyUnix, ""
		}
		return familyText, ""
	}
	colon := strings.LastIndexByte(address, ':')
	switch {
	case colon < 0:
		// An address without a port, which middleware may have put there.
	case address[0] == '[' && address[colon-1] == ']':
		address = address[1 : colon-1]
	case strings.IndexByte(address, ':') == colon:
		address = address[:colon]
	}
	if address == "unix:" {
		// What keyward takes for a Unix socket; but here it is only text, which a client may have sent to a proxy.
		return familyText, ""
	}
	return familyText, address
}
