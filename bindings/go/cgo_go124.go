//go:build cgo && go1.24

package keyward

/*
// They keep no pointer and never call into Go, so what is handed to them may stay on the stack.
#cgo noescape kw_render
#cgo nocallback kw_render
#cgo noescape kw_credential_header
#cgo nocallback kw_credential_header
#include <keyward.h>
*/
import "C"

import "runtime"

// releaseAfter has the engine released once nobody holds the handle any more.
func releaseAfter(h *handle, engine *C.keyward_engine) {
	runtime.AddCleanup(h, release, engine)
}
