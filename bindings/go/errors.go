package keyward

import (
	"io/fs"
	"strconv"
)

// Status says what went wrong, by its kind. It is an error by itself, so that errors.Is finds it:
//
//	if errors.Is(err, keyward.ErrNotFound) { … }
//
// Positive numbers are the library's (include/keyward.h), negative ones this package's.
type Status int32

// What can go wrong. Later versions of the library may have more.
const (
	// ErrClosed: the engine was closed, or never opened. It is fs.ErrClosed, too.
	ErrClosed Status = -1
	// ErrNoCgo: the program was built without cgo.
	ErrNoCgo Status = -2
	// ErrLibraryVersion: the library that was found has another ABI version than the program was built for.
	ErrLibraryVersion Status = -3
	// ErrNoRequest: the request is nil.
	ErrNoRequest Status = -4

	// ErrLength: there is no memory for a list of that length.
	ErrLength Status = 105
	// ErrUTF8: a realm, an environment or a scope is not UTF-8.
	ErrUTF8 Status = 106
	// ErrValue: a number or an option that there is not, or two that exclude each other.
	ErrValue Status = 107
	// ErrNoRealm: the snapshot does not have the realm.
	ErrNoRealm Status = 110
	// ErrNoEnvironment: the realm does not have the environment.
	ErrNoEnvironment Status = 111
	// ErrNoKey: the realm does not have the key, any more or at all.
	ErrNoKey Status = 112
	// ErrNotAKey: the realm does not take one key by itself.
	ErrNotAKey Status = 114

	// ErrNotFound: the file is not there. It is fs.ErrNotExist, too.
	ErrNotFound Status = 201
	// ErrPermission: the file may not be read. It is fs.ErrPermission, too.
	ErrPermission Status = 202
	// ErrIO: another error of the system.
	ErrIO Status = 203

	// ErrNotASnapshot: it is not a snapshot.
	ErrNotASnapshot Status = 301
	// ErrVersion: it is a snapshot that needs another version of the library.
	ErrVersion Status = 302
	// ErrTruncated: the snapshot is shorter or longer than it says.
	ErrTruncated Status = 303
	// ErrDamaged: bytes of the snapshot are not those that were written.
	ErrDamaged Status = 304
	// ErrMalformed: the snapshot says what cannot be.
	ErrMalformed Status = 305
	// ErrOlder: the snapshot is older than the one in use, or than one that a process served which shares the state.
	ErrOlder Status = 306
	// ErrConflict: the snapshot has the generation in use, or the one that was served last, and other bytes.
	ErrConflict Status = 307
	// ErrSignature: the snapshot is not signed by a key that the keyring accepts.
	ErrSignature Status = 308
	// ErrRealms: the snapshot has none of the realms in use.
	ErrRealms Status = 309
	// ErrDelta: the delta beside the snapshot is one on another snapshot, or has other realms.
	ErrDelta Status = 310
	// ErrKeyring: the keyring breaks a rule.
	ErrKeyring Status = 311
	// ErrKeyringExposed: others than its owner may read or write the keyring.
	ErrKeyringExposed Status = 312
	// ErrPepper: the keyring lacks a pepper of the snapshot, or has another one of that id.
	ErrPepper Status = 313
	// ErrToken: a token cannot be issued by the realm's rules, or with the keyring's keys.
	ErrToken Status = 314
	// ErrState: what is there is not a state file, or one that others may write to.
	ErrState Status = 315

	// ErrNoSnapshot: no snapshot has been good yet.
	ErrNoSnapshot Status = 401
	// ErrNoFile: the engine has its snapshot from memory, and no file to look at.
	ErrNoFile Status = 402
	// ErrDenied: the request was refused. It is what a DeniedError is.
	ErrDenied Status = 403

	// ErrPanic: the library panicked, which was caught.
	ErrPanic Status = 501
)

// Error returns one sentence without a name in front.
func (s Status) Error() string {
	switch s {
	case ErrClosed:
		return "the engine is closed"
	case ErrNoCgo:
		return "this program was built without cgo: build it with CGO_ENABLED=1 and a C compiler"
	case ErrLibraryVersion:
		return "the keyward library has another version than this program was built for"
	case ErrNoRequest:
		return "the request is nil"
	case ErrLength:
		return "there is no memory for a list of that length"
	case ErrUTF8:
		return "a realm, an environment or a scope is not UTF-8"
	case ErrValue:
		return "an option has a value that there is not, or two options exclude each other"
	case ErrNoRealm:
		return "the snapshot does not have the realm"
	case ErrNoEnvironment:
		return "the realm does not have the environment"
	case ErrNoKey:
		return "the realm does not have the key"
	case ErrNotAKey:
		return "the realm does not take one key by itself: it requires no credential of kind key"
	case ErrNoSnapshot:
		return "no snapshot has been good yet"
	case ErrNoFile:
		return "the engine has its snapshot from memory, and no file to look at"
	case ErrDenied:
		return "the request was refused"
	case ErrPanic:
		return "the keyward library panicked, which was caught"
	}
	return nameOfStatus(s) + " (status " + strconv.Itoa(int(s)) + ")"
}

// Is makes errors.Is find the io/fs errors that some of them are as well.
func (s Status) Is(target error) bool {
	switch s {
	case ErrClosed:
		return target == fs.ErrClosed
	case ErrNotFound:
		return target == fs.ErrNotExist
	case ErrPermission:
		return target == fs.ErrPermission
	}
	return false
}

// Error is what the functions of this package return. It holds no secret.
type Error struct {
	// Op is what was tried: "open", "verify", …
	Op string
	// Status is what errors.Is looks for.
	Status Status
	// Message says what was found, what was expected and what to do.
	Message string
}

func (e *Error) Error() string { return "keyward: " + e.Op + ": " + e.Message }

// Unwrap returns the Status.
func (e *Error) Unwrap() error { return e.Status }

func newError(op string, status Status, message string) *Error {
	if message == "" {
		message = status.Error()
	}
	return &Error{Op: op, Status: status, Message: message}
}

// DeniedError is a refusal as an error, for code that wants one: [Verdict.Err] and [Engine.IssueToken] return it.
// errors.Is(err, ErrDenied) finds it.
type DeniedError struct {
	Reason Reason
}

func (e *DeniedError) Error() string { return "keyward: the request was refused: " + e.Reason.String() }

// Unwrap returns ErrDenied.
func (e *DeniedError) Unwrap() error { return ErrDenied }
