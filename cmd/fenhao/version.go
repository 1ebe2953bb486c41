package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// The release build names itself with -ldflags "-X main.version=… -X main.commit=…"; any other build is named by what
// the Go tool has recorded in it.
var (
	version string
	commit  string
)

// VersionCmd is `fenhao version`.
type VersionCmd struct {
	JSON bool `help:"${json}" name:"json"`
}

// build is what this binary knows about its own making.
type build struct {
	Version string `json:"version"` // "devel" when built from a working copy
	Commit  string `json:"commit"`  // "unknown" when built outside of one; ends in "+dirty" when it held changes
	Go      string `json:"go"`
}

// Run prints the version.
func (c *VersionCmd) Run(e *env) error {
	b := thisBuild()
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(b)
	}
	_, err := fmt.Fprintf(e.stdout, "fenhao %s (%s %s, %s %s/%s)\n",
		b.Version, e.text("提交", "commit"), b.Commit, b.Go, runtime.GOOS, runtime.GOARCH)
	return err
}

// thisBuild returns the names of the release, else of the Go tool's record.
func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildOf(info, version, commit)
}

func buildOf(info *debug.BuildInfo, version, commit string) build {
	b := build{Version: version, Commit: commit, Go: runtime.Version()}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	if b.Commit == "" {
		b.Commit = "unknown"
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				b.Commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true": // recorded after the revision
				b.Commit += "+dirty"
			}
		}
	}
	return b
}
