//go:build cgo && keyward_static

package keyward

// libkeyward.a and keyward.h, from lib/ beside this file, where `make go` puts them, or from where CGO_CFLAGS=-I…
// and CGO_LDFLAGS=-L… say. The program then needs nothing of keyward where it runs.

// #cgo CFLAGS: -I${SRCDIR}/lib
// #cgo LDFLAGS: -L${SRCDIR}/lib -l:libkeyward.a -lpthread -lm -ldl -lrt -lutil
import "C"
