package keyward

import "runtime"

// NameOfReason is the library's name.
var NameOfReason = nameOfReason

// CallsDirectly says which of the two ways decisions are asked for.
const CallsDirectly = callsDirectly

// NothingEscapes says whether this Go knows #cgo noescape.
var NothingEscapes = func() bool {
	for _, old := range []string{"go1.19", "go1.20", "go1.21", "go1.22", "go1.23"} {
		if version := runtime.Version(); version == old || len(version) > len(old) && version[:len(old)+1] == old+"." {
			return false
		}
	}
	return true
}()
