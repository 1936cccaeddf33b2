package keyward

import "net/http"

// TokenOptions say what a token is to say. The zero value, and nil, are the defaults.
type TokenOptions struct {
	// Credential is the realm's token credential whose rules hold; empty: its only one.
	Credential string
	// Kid is the id of the key that signs; empty: the last one in the keyring that can.
	Kid string
	// Subject is whom the token is about; empty: the id of the key that passed.
	Subject string
}

// IssueToken decides a request as [Engine.Verify] does, and where it is allowed with a key, issues a token that is
// bound to that key and signed with a key of the keyring: what stands behind an API's sign-in.
//
// Where the request is refused, the error is a *DeniedError and the verdict says why, for [Engine.Answer]. A request
// that is allowed without a key is refused with ErrDenied and an allowed verdict. Every other error comes with the
// zero Verdict.
func (e *Engine) IssueToken(r *http.Request, realm string, token *TokenOptions, options ...Option) (string, Verdict, error) {
	h := e.held()
	if h == nil {
		return "", Verdict{}, newError("issue a token", ErrClosed, "")
	}
	if r == nil {
		return "", Verdict{}, newError("issue a token", ErrNoRequest, "")
	}
	if token == nil {
		token = &TokenOptions{}
	}
	s := settingsOf(options)
	c, status := received(r, realm, &s)
	if status != statusOK {
		return "", Verdict{}, newError("issue a token", status, "")
	}
	var verdict Verdict
	text, err := h.issueToken(&c, token, &verdict)
	switch {
	case err == nil:
		return text, verdict, nil
	case verdict.raw.reason == uint32(ReasonNone):
		return "", Verdict{}, err
	case !verdict.Allowed():
		return "", verdict, verdict.Err()
	}
	if failed, is := err.(*Error); is && failed.Status == ErrDenied {
		return "", verdict, err
	}
	return "", Verdict{}, err
}
