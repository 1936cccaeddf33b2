package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme runs README.md as written, in a copy of this folder, and compares what it shows. What installs the command
// and the library is left out: whoever runs this test has them.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	here := copied(t)
	results := t.TempDir()
	script := "set -u\n"
	var asked, expected []string
	kind := ""
	for _, line := range strings.Split(string(readme), "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			kind = strings.TrimPrefix(line, "```")
		case kind == "sh" && (strings.HasPrefix(line, "make ") || strings.HasPrefix(line, "cargo install ")):
		case kind == "sh" && line == "./aver":
			script += "./aver 2>aver.log &\nserver=$!\n" +
				"until curl -s -o /dev/null --cacert certificate.pem https://localhost:8443/; do kill -0 $server || exit 9; sleep 0.1; done\n"
		case kind == "sh":
			script += line + "\n"
		case kind == "console" && strings.HasPrefix(line, "$ "):
			script += fmt.Sprintf("{ %s\n} >%s/%d\n", line[2:], results, len(asked))
			asked, expected = append(asked, line[2:]), append(expected, "")
		case kind == "console":
			expected[len(expected)-1] += line + "\n"
		}
	}
	script += "kill $server\nwait $server\n"
	shell := exec.Command("bash", "-c", script)
	shell.Dir = here
	shell.Env = append(os.Environ(), "PATH="+filepath.Dir(command(t))+":"+os.Getenv("PATH"))
	said, err := shell.CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(here, "aver.log"))
		t.Fatalf("%v: %s%s", err, said, log)
	}
	if len(asked) < 10 {
		t.Errorf("only %d commands", len(asked))
	}
	for i := range asked {
		found, err := os.ReadFile(filepath.Join(results, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		// What is shown has no line without an end.
		if strings.TrimSuffix(string(found), "\n") != strings.TrimSuffix(expected[i], "\n") {
			t.Errorf("$ %s\n%swant\n%s", asked[i], found, expected[i])
		}
	}
}

// copied makes a copy of this folder that has the rest of the checkout where this one has it.
func copied(t *testing.T) string {
	t.Helper()
	checkout := t.TempDir()
	here := filepath.Join(checkout, "examples", "aver")
	if err := os.MkdirAll(here, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bindings", "profiles"} {
		from, err := filepath.Abs(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(from, filepath.Join(checkout, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "main.go", "api.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(here, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return here
}
