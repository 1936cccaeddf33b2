//go:build cgo && go1.24 && !(linux && amd64 && go1.26 && !go1.27 && !race && !msan && !asan && !keyward_cgocall)

package keyward

/*
// As in cgo_go124.go: a decision allocates nothing. For direct_not.go alone, since cgo wants no word about what is not called.
#cgo noescape kw_verify
#cgo nocallback kw_verify
#cgo noescape kw_verify_with
#cgo nocallback kw_verify_with
#cgo noescape kw_verify_key
#cgo nocallback kw_verify_key
#cgo noescape kw_verify_key_with
#cgo nocallback kw_verify_key_with
#include <keyward.h>
*/
import "C"
