//go:build cgo && !go1.24

package keyward

// #include <keyward.h>
import "C"

import "runtime"

// releaseAfter has the engine released once nobody holds the handle any more.
func releaseAfter(h *handle, _ *C.keyward_engine) {
	runtime.SetFinalizer(h, func(h *handle) { release(h.engine) })
}
