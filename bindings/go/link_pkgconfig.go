//go:build cgo && !keyward_static

package keyward

// What `make install` has put where pkg-config looks.

// #cgo pkg-config: keyward
import "C"
