package keyward

// Reason says why a request was decided as it was. It is for logs and metrics: the client is told what the realm
// renders, see [Engine.Answer].
type Reason uint32

// The reasons, in the order of the gates. Later versions of the library may have more.
const (
	// ReasonNone is that of a verdict that says nothing, such as the zero Verdict, which denies.
	ReasonNone Reason = 0
	// ReasonOK is the only one that lets a request in.
	ReasonOK                  Reason = 1
	ReasonUnavailable         Reason = 2
	ReasonAmbiguousPath       Reason = 3
	ReasonTLSRequired         Reason = 4
	ReasonMissingCredential   Reason = 5
	ReasonAmbiguousCredential Reason = 6
	ReasonMalformedCredential Reason = 7
	ReasonUnknownKey          Reason = 8
	ReasonRevoked             Reason = 9
	ReasonNotYetValid         Reason = 10
	ReasonExpired             Reason = 11
	ReasonWrongEnvironment    Reason = 12
	ReasonInvalidToken        Reason = 13
	ReasonTokenExpired        Reason = 14
	ReasonTokenNotYetValid    Reason = 15
	ReasonTokenRevoked        Reason = 16
	ReasonSuspended           Reason = 17
	ReasonPending             Reason = 18
	ReasonTenantMismatch      Reason = 19
	ReasonIPNotAllowed        Reason = 20
	ReasonRouteNotAllowed     Reason = 21
	ReasonInsufficientScope   Reason = 22
	ReasonRateLimited         Reason = 23
)

// reasonNames has the library's names, which a test compares with the library.
var reasonNames = [...]string{
	ReasonNone:                "none",
	ReasonOK:                  "ok",
	ReasonUnavailable:         "unavailable",
	ReasonAmbiguousPath:       "ambiguous_path",
	ReasonTLSRequired:         "tls_required",
	ReasonMissingCredential:   "missing_credential",
	ReasonAmbiguousCredential: "ambiguous_credential",
	ReasonMalformedCredential: "malformed_credential",
	ReasonUnknownKey:          "unknown_key",
	ReasonRevoked:             "revoked",
	ReasonNotYetValid:         "not_yet_valid",
	ReasonExpired:             "expired",
	ReasonWrongEnvironment:    "wrong_environment",
	ReasonInvalidToken:        "invalid_token",
	ReasonTokenExpired:        "token_expired",
	ReasonTokenNotYetValid:    "token_not_yet_valid",
	ReasonTokenRevoked:        "token_revoked",
	ReasonSuspended:           "suspended",
	ReasonPending:             "pending",
	ReasonTenantMismatch:      "tenant_mismatch",
	ReasonIPNotAllowed:        "ip_not_allowed",
	ReasonRouteNotAllowed:     "route_not_allowed",
	ReasonInsufficientScope:   "insufficient_scope",
	ReasonRateLimited:         "rate_limited",
}

// String returns the name that documentation, logs of other programs and metrics use, such as unknown_key.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return nameOfReason(r)
}
