//go:build !cgo

package keyward

import "net/http"

// Without cgo there is no library to ask: Open refuses, so nothing here is ever called.

const (
	flagTLS = iota
	flagUnrouted
	flagHasNow
	familyText
	familyUnix
	openLater
	openGoingBack
	modeCopy
	checkWhole

	statusOK     Status = 0
	statusBuffer Status = 108
	statusEnd    Status = 113
	maxHeaders          = 8
)

const callsDirectly = false

type handle struct{}

func openFile(string, string, *Options) (*handle, error)  { return nil, newError("open", ErrNoCgo, "") }
func openBytes([]byte, string, *Options) (*handle, error) { return nil, newError("open", ErrNoCgo, "") }

func (*handle) verify(*http.Request, string, *Verdict) Status { return ErrNoCgo }
func (*handle) verifyKey(string, string, *Verdict) Status     { return ErrNoCgo }
func (*handle) decide(*call, *Verdict) Status                 { return ErrNoCgo }
func (*handle) issueToken(*call, *TokenOptions, *Verdict) (string, error) {
	return "", ErrNoCgo
}
func (*handle) render(string, *Verdict, string, []byte, *layout) (int, Status) { return 0, ErrNoCgo }
func (*handle) reload() (bool, error)                                          { return false, ErrNoCgo }
func (*handle) replaceBytes([]byte) (bool, error)                              { return false, ErrNoCgo }
func (*handle) checkPages() error                                              { return ErrNoCgo }
func (*handle) checkRealm(string) Status                                       { return ErrNoCgo }
func (*handle) checkEnvironment(string, string) Status                         { return ErrNoCgo }
func (*handle) credentialHeader(string, int) (string, Status)                  { return "", ErrNoCgo }
func (*handle) info() (Info, Status)                                           { return Info{}, ErrNoCgo }
func (*handle) counts([]uint64) Status                                         { return ErrNoCgo }

func nameOfReason(Reason) string { return "unknown" }
func nameOfStatus(Status) string { return "unknown" }
func libraryVersion() string     { return "" }
