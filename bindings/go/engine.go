package keyward

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Mode says how a snapshot comes into memory.
type Mode uint8

const (
	// Map maps the file, which all processes that do so share. The default.
	Map Mode = iota
	// Copy reads the file into memory of the process's own.
	Copy
)

// Options say how an engine works. The zero value, and nil, are the defaults.
type Options struct {
	// Mode is how the snapshot comes into memory.
	Mode Mode
	// CheckWhole has all of a snapshot checked before it is used. Otherwise pages of a large file are checked when they
	// are first read from.
	CheckWhole bool
	// OpenLater lets Open succeed where the snapshot is missing or bad: every verdict is then unavailable until a Reload
	// finds a good one.
	OpenLater bool
	// GoingBack lets a Reload go back to an older generation, or to other bytes of the same one.
	GoingBack bool
	// LimiterSlots is how many keys the rate limiter has room for; twice as many as are active at one time is a good
	// number. 0: 131,072. It counts for nothing with a State.
	LimiterSlots uint64
	// State is the path of a file in which limits and the use of each key are counted together with every other process
	// that names it. It is made where it is not there. Empty: this process counts limits alone, and no use.
	State string
	// StateSlots is how many keys a new state file has room for. 0: 65,536.
	StateSlots uint64
}

func (o *Options) mode() uint32 {
	if o.Mode == Copy {
		return modeCopy
	}
	// What is not known here is refused there.
	if o.Mode != Map {
		return 1 << 16
	}
	return 0
}

func (o *Options) check() uint32 {
	if o.CheckWhole {
		return checkWhole
	}
	return 0
}

func (o *Options) flags() uint32 {
	var flags uint32
	if o.OpenLater {
		flags |= openLater
	}
	if o.GoingBack {
		flags |= openGoingBack
	}
	return flags
}

// Engine decides requests from a snapshot. Everything may be asked of it from any number of goroutines at the same
// time, Close included.
type Engine struct {
	handle atomic.Pointer[handle]
	closed chan struct{}
	once   sync.Once
}

// Open opens an engine that decides from the snapshot file, with the keyring file, which nobody but its owner may have
// access to. options may be nil.
//
// It starts no goroutine: new generations are taken by [Engine.Reload], or by [Engine.Watch] in a goroutine of yours.
func Open(snapshot, keyring string, options *Options) (*Engine, error) {
	if options == nil {
		options = &Options{}
	}
	if snapshot == "" {
		return nil, newError("open", ErrNotFound, "no snapshot is named: give the path of one")
	}
	if keyring == "" {
		return nil, newError("open", ErrNotFound, noKeyring)
	}
	return opened(openFile(snapshot, keyring, options))
}

// OpenBytes opens an engine that decides from a snapshot in memory, which is copied.
func OpenBytes(snapshot []byte, keyring string, options *Options) (*Engine, error) {
	if options == nil {
		options = &Options{}
	}
	if keyring == "" {
		return nil, newError("open", ErrNotFound, noKeyring)
	}
	return opened(openBytes(snapshot, keyring, options))
}

const noKeyring = "no keyring is named: give the path of one"

func opened(h *handle, err error) (*Engine, error) {
	if err != nil {
		return nil, err
	}
	e := &Engine{closed: make(chan struct{})}
	e.handle.Store(h)
	return e, nil
}

// Close gives the engine up. Every call after it fails with ErrClosed and denies; calls that are under way come to
// their end. The memory is given back once the garbage collector finds that nobody is in such a call any more. A second
// Close does nothing.
func (e *Engine) Close() error {
	if e != nil && e.handle.Swap(nil) != nil {
		e.once.Do(func() { close(e.closed) })
	}
	return nil
}

// held returns the library's engine, or nil where there is none.
func (e *Engine) held() *handle {
	if e == nil {
		return nil
	}
	return e.handle.Load()
}

// Reload takes the newest snapshot from the file, and says whether there was a new one. Whatever is wrong with the
// file, requests go on with the last good generation. It may take long for a large file.
func (e *Engine) Reload() (changed bool, err error) {
	h := e.held()
	if h == nil {
		return false, newError("reload", ErrClosed, "")
	}
	return h.reload()
}

// ReplaceBytes takes a snapshot in memory, which is copied, in the place of the one in use. From then on the engine has
// no file to look at.
func (e *Engine) ReplaceBytes(snapshot []byte) (changed bool, err error) {
	h := e.held()
	if h == nil {
		return false, newError("replace", ErrClosed, "")
	}
	return h.replaceBytes(snapshot)
}

// Watch looks for a new generation every interval, until ctx is done, whose error it then returns, or the engine is
// closed, which is ErrClosed. An interval of some 100 ms is fine: a look at a file that did not change costs
// microseconds.
//
// It calls report, which may be nil, for each new generation, and for each error that is not the last one over again.
//
//	go engine.Watch(ctx, 100*time.Millisecond, func(changed bool, err error) {
//		if err != nil {
//			log.Print(err)
//		}
//	})
func (e *Engine) Watch(ctx context.Context, interval time.Duration, report func(changed bool, err error)) error {
	if interval <= 0 {
		return newError("watch", ErrValue, "the interval is "+interval.String()+", and has to be more than 0")
	}
	if e.held() == nil {
		return newError("watch", ErrClosed, "")
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last := ""
	for {
		changed, err := e.Reload()
		if errors.Is(err, ErrClosed) {
			return newError("watch", ErrClosed, "")
		}
		said := ""
		if err != nil {
			said = err.Error()
		}
		if report != nil && (changed || said != "" && said != last) {
			report(changed, err)
		}
		last = said
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.closed:
			return newError("watch", ErrClosed, "")
		case <-ticker.C:
		}
	}
}

// CheckPages checks every page of the current generation that was not checked yet, and brings it into memory. For a
// goroutine after a fast start; requests go on meanwhile.
func (e *Engine) CheckPages() error {
	h := e.held()
	if h == nil {
		return newError("check pages", ErrClosed, "")
	}
	return h.checkPages()
}

// CheckRealm returns nil where the current generation has the realm. A request for one that it does not have is refused
// with 503, so a server had better ask before it serves.
func (e *Engine) CheckRealm(realm string) error {
	h := e.held()
	if h == nil {
		return newError("check realm", ErrClosed, "")
	}
	return result("check realm", h.checkRealm(realm))
}

// CheckEnvironment returns nil where the realm has the environment.
func (e *Engine) CheckEnvironment(realm, environment string) error {
	h := e.held()
	if h == nil {
		return newError("check environment", ErrClosed, "")
	}
	return result("check environment", h.checkEnvironment(realm, environment))
}

func result(op string, status Status) error {
	if status == statusOK {
		return nil
	}
	return newError(op, status, "")
}

// Info is what an engine decides from, and how its last reload went.
type Info struct {
	// Loaded: there is a snapshot to decide from.
	Loaded bool
	// Mapped: its memory is the file's own.
	Mapped bool
	// Checked: all its pages have been checked.
	Checked bool
	// Damaged: a page was found damaged, so that every verdict is unavailable.
	Damaged bool
	// StateShared: limits and usage are counted in memory that processes share.
	StateShared bool
	// StateFailed: the state file cannot be used, so that this process counts alone.
	StateFailed bool

	// Generation is the one in use, BaseGeneration the one it is laid over; 0: it is whole.
	Generation, BaseGeneration uint64
	// Created is when it was made, Since when it took over here.
	Created, Since time.Time
	// Age is how old it is, MaxAge the age past which it is no longer used; 0: none.
	Age, MaxAge time.Duration
	// Keys, Realms and Bytes are how much it has.
	Keys, Realms, Bytes uint64
	// Retired is how many generations are not in use any more and are still held by somebody.
	Retired uint64
	// LimiterSlots is how many keys the rate limiter has room for, LimiterDisplaced how many it forgot for want of room.
	LimiterSlots, LimiterDisplaced uint64
	// StateCreated is when the shared state was made, StateDisplaced how many keys' usage it gave up for want of room.
	StateCreated   time.Time
	StateDisplaced uint64
	// LastError is what the last reload, check or look at the state met, until one succeeds; LastErrorAt is when.
	LastError   error
	LastErrorAt time.Time
}

// Info tells what the engine decides from. It waits for a reload that is under way.
func (e *Engine) Info() (Info, error) {
	h := e.held()
	if h == nil {
		return Info{}, newError("info", ErrClosed, "")
	}
	info, status := h.info()
	return info, result("info", status)
}

// Counts tells how many requests were decided with each reason: by this engine since it was opened, or with a State,
// by all processes since it was made.
func (e *Engine) Counts() (map[Reason]uint64, error) {
	h := e.held()
	if h == nil {
		return nil, newError("counts", ErrClosed, "")
	}
	// Room for reasons that this package does not know yet.
	var numbers [64]uint64
	if status := h.counts(numbers[:]); status != statusOK {
		return nil, newError("counts", status, "")
	}
	counts := make(map[Reason]uint64)
	for reason, count := range numbers {
		if count > 0 {
			counts[Reason(reason)] = count
		}
	}
	return counts, nil
}

// LibraryVersion is the version of the keyward library, such as "0.1.0"; empty in a program without cgo.
func LibraryVersion() string { return libraryVersion() }
