//go:build cgo && !keyward_static

package keyward_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	keyward "github.com/keyward/keyward/bindings/go"
)

// TestAnotherLibrary runs this program with libraries of other versions in the place of the one it was built for.
func TestAnotherLibrary(t *testing.T) {
	if os.Getenv("KEYWARD_OPEN_ONLY") != "" {
		engine, err := keyward.Open(os.Getenv("KEYWARD_OPEN_ONLY"), keyring, nil)
		fmt.Printf("opened %v, version %v: %v\n", engine != nil, errors.Is(err, keyward.ErrLibraryVersion), err)
		return
	}
	f := shopFiles(t)
	if said := openedWith(t, f.snapshot, ""); !strings.Contains(said, "opened true, version false: <nil>") {
		t.Errorf("its own: %s", said)
	}
	// ABI 0.1 is what this package is built for. A failure of the library says 0.
	for _, version := range []string{"0x10000u", "0x10001u", "0u", "0xffff0001u"} {
		if said := openedWith(t, f.snapshot, version); !strings.Contains(said, "opened false, version true: keyward: open: found a keyward library of ABI version") {
			t.Errorf("%s: %s", version, said)
		}
	}
}

// openedWith returns what this test says with a library that has that version, and nothing else.
func openedWith(t *testing.T, snapshot, version string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(self, "-test.run", "^TestAnotherLibrary$", "-test.v")
	run.Env = append(os.Environ(), "KEYWARD_OPEN_ONLY="+snapshot)
	if version != "" {
		run.Env = append(run.Env, "LD_LIBRARY_PATH="+stub(t, self, version))
	}
	said, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return string(said)
}

// stub makes a library with the functions that the program wants. All but one end it.
func stub(t *testing.T, program, version string) string {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	wanted, err := file.ImportedSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var source bytes.Buffer
	source.WriteString("#include <stdlib.h>\n")
	count := 0
	for _, symbol := range wanted {
		if !strings.HasPrefix(symbol.Name, "keyward_") {
			continue
		}
		count++
		if symbol.Name == "keyward_abi_version" {
			fmt.Fprintf(&source, "unsigned %s(void) { return %s; }\n", symbol.Name, version)
		} else {
			fmt.Fprintf(&source, "void %s(void) { abort(); }\n", symbol.Name)
		}
	}
	if count < 10 {
		t.Fatalf("the program wants only %d functions", count)
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "stub.c")
	if err := os.WriteFile(path, source.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	compile := exec.Command(compiler, "-shared", "-fPIC", "-Wl,-soname,libkeyward.so.0", path, "-o", filepath.Join(folder, "libkeyward.so.0"))
	if said, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return folder
}
