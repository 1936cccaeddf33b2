package keyward

import (
	"strings"
	"time"
)

// textRoom is how many bytes of texts stand in a Verdict itself. The ids, tenants and environments of most APIs fit;
// longer ones are allocated.
const textRoom = 128

// allow is KEYWARD_ALLOW.
const allow = 1802960897

// raw is what the C side fills in: kw_verdict in shim.h, field by field. It has no pointers, so that it may be
// handed to C where it stands.
type raw struct {
	outcome
	generation     uint64
	retryAfter     uint64
	keyIDLen       uint32
	environmentLen uint32
	tenantLen      uint32
	scopeLen       uint32
	subjectLen     uint32
	// One more than the bytes of the list; 0: there is none.
	scopesLen        uint32
	hasSubject       uint8
	challenge        uint8
	challengeMissing uint8
	scopesOf         uint8
	reserved         uint32
	reserved2        uint64
	// Where the texts did not fit: C's memory, until this package has copied it.
	elsewhere uint64
	text      [textRoom]byte
}

// outcome has a type of its own so that asking for it copies nothing else.
type outcome struct {
	decision uint32
	reason   uint32
}

// Verdict is what was decided about a request. It is a value: copy it, keep it, hand it to other goroutines. The zero
// Verdict denies.
//
// Texts are made into strings when they are asked for: a decision allocates nothing, KeyID does.
type Verdict struct {
	raw
	// All texts one after the other, where they are longer than raw.text.
	long string
}

// Allowed says whether the request may go on. Nothing else lets it.
func (o outcome) Allowed() bool { return o.decision == allow }

// Unavailable says whether nothing could be decided, for want of a usable snapshot. That is a denial, too.
func (o outcome) Unavailable() bool { return o.Reason() == ReasonUnavailable }

// Reason says why. It is for logs and metrics, not for the client.
func (o outcome) Reason() Reason { return Reason(o.reason) }

// Err returns nil where the request is allowed, else a *DeniedError.
func (o outcome) Err() error {
	if o.Allowed() {
		return nil
	}
	return &DeniedError{Reason: o.Reason()}
}

// Generation is that of the snapshot that decided; 0 where there was none.
func (v Verdict) Generation() uint64 { return v.raw.generation }

// RetryAfter is how long the key has to wait, in whole seconds, where the reason is ReasonRateLimited.
func (v Verdict) RetryAfter() time.Duration { return time.Duration(v.raw.retryAfter) * time.Second }

// KeyID is the id of the key, known as soon as authentication passed, so also where the request is refused with 403
// or 429. Empty where there is none.
func (v Verdict) KeyID() string { return v.part(0, v.raw.keyIDLen) }

// Environment is the key's. Empty where it has none.
func (v Verdict) Environment() string { return v.part(v.raw.keyIDLen, v.raw.environmentLen) }

// Tenant is the account or business that the key belongs to. Empty where there is none.
func (v Verdict) Tenant() string {
	return v.part(v.raw.keyIDLen+v.raw.environmentLen, v.raw.tenantLen)
}

// Scope is the one that is missing, where the reason is ReasonInsufficientScope.
func (v Verdict) Scope() string {
	return v.part(v.raw.keyIDLen+v.raw.environmentLen+v.raw.tenantLen, v.raw.scopeLen)
}

// Subject is whom the token is about, where the realm requires one, and whether it says so: it may be empty.
func (v Verdict) Subject() (subject string, known bool) {
	at := v.raw.keyIDLen + v.raw.environmentLen + v.raw.tenantLen + v.raw.scopeLen
	return v.part(at, v.raw.subjectLen), v.raw.hasSubject != 0
}

// Scopes is all scopes of the key, in no order that means anything, and whether they are known: only where the call had
// [WithListedScopes], since the engine tells them while it decides, and where they have no more than 16,383 bytes
// together, with a space between each two. There are none where there is no KeyID.
//
// The verdict has its own copy: they stay what they were when the request was decided, whatever a Reload brings, and
// after Close. The slice is the caller's, made anew by each call.
func (v Verdict) Scopes() (scopes []string, known bool) {
	if v.raw.scopesLen <= 1 {
		return nil, v.raw.scopesLen == 1
	}
	at := v.raw.keyIDLen + v.raw.environmentLen + v.raw.tenantLen + v.raw.scopeLen + v.raw.subjectLen
	return strings.Split(v.part(at, v.raw.scopesLen-1), " "), true
}

// String is for logs: the decision, the reason, and the id of the key. It holds no secret.
func (v Verdict) String() string {
	text := "deny " + v.Reason().String()
	if v.Allowed() {
		text = "allow"
	}
	if id := v.KeyID(); id != "" {
		text += ", key " + id
	}
	return text
}

func (v *Verdict) part(at, length uint32) string {
	if length == 0 {
		return ""
	}
	if v.long != "" {
		return v.long[at : at+length]
	}
	return string(v.raw.text[at : at+length])
}

func (v *Verdict) textLen() uint32 {
	length := v.raw.keyIDLen + v.raw.environmentLen + v.raw.tenantLen + v.raw.scopeLen + v.raw.subjectLen
	if v.raw.scopesLen > 0 {
		length += v.raw.scopesLen - 1
	}
	return length
}
