// Command fenhao takes WeChat Pay for a mini program: the service, an emulator of WeChat's servers and the
// operator's tools in one binary.
//
//	fenhao dev        everything on this machine: service, emulator, a seeded shop; no configuration
//	fenhao serve      the service alone, from fenhao.yaml and FENHAO_* variables
//	fenhao sandbox    the emulator alone, for any WeChat Pay SDK in any language
//	fenhao init       writes a commented fenhao.yaml
//	fenhao apikey     makes an API key for a merchant's backend
//	fenhao sign       shows the exact text that is signed, and its signature
//	fenhao verify     checks a signature and names the mistake where it is wrong
//	fenhao decrypt    decrypts a notification
//	fenhao version    version, commit, Go version
//
// Exit codes are 0 for done, 1 for failed and 2 for wrong usage. Data goes to standard output, talk to standard error.
// People are spoken to in Chinese or English: --lang, else FENHAO_LANG, else the locale.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // bills and business days are Beijing's, and containers often lack the time zones

	"github.com/alecthomas/kong"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal drains; a second one ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// The exit codes that scripts rely on.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// grammar is the command line: the flags that every command takes, and the commands.
type grammar struct {
	Lang string `help:"${lang}" placeholder:"zh|en"`
	Help bool   `help:"${help}" short:"h"`

	Dev     DevCmd     `cmd:"" help:"${dev}"`
	Serve   ServeCmd   `cmd:"" help:"${serve}"`
	Sandbox SandboxCmd `cmd:"" help:"${sandbox}"`
	Init    InitCmd    `cmd:"" help:"${init}"`
	APIKey  APIKeyCmd  `cmd:"" name:"apikey" help:"${apikey}"`
	Sign    SignCmd    `cmd:"" help:"${sign}"`
	Verify  VerifyCmd  `cmd:"" help:"${verify}"`
	Decrypt DecryptCmd `cmd:"" help:"${decrypt}"`
	Version VersionCmd `cmd:"" help:"${version}"`
}

// DevCmd is `fenhao dev`.
type DevCmd struct {
	Data          string `help:"${dev_data}" default:"./fenhao-data" placeholder:"DIR"`
	Listen        string `help:"${listen}" default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	SandboxListen string `help:"${sandbox_listen}" default:"127.0.0.1:8090" placeholder:"HOST:PORT"`
	JSON          bool   `help:"${json_ready}" name:"json"`
}

// ServeCmd is `fenhao serve`.
type ServeCmd struct {
	Config string `help:"${config}" default:"fenhao.yaml" placeholder:"FILE"`
	JSON   bool   `help:"${json_ready}" name:"json"`
}

// env is what a command gets from outside: nothing that it reads or writes is global, so a test can be the operator.
type env struct {
	ctx     context.Context // ends with the first SIGINT or SIGTERM: drain and return nil
	environ []string        // NAME=value, as os.Environ
	stdin   io.Reader       // for commands that read a file called -
	stdout  io.Writer       // data
	stderr  io.Writer       // talk and logs
	lang    string          // "zh" or "en"
}

// getenv is os.Getenv on e: "" where the variable is not set.
func (e *env) getenv(name string) string {
	for _, entry := range slices.Backward(e.environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// text returns the sentence in the language of the user.
func (e *env) text(zh, en string) string { return phrase.Say(zh, en).In(e.lang) }

// failure makes an error of two formats that take the same arguments. What a command returns is printed as it is.
func failure(zh, en string, args ...any) error { return phrase.Say(zh, en, args...) }

// run is the program: args without its name, environ as os.Environ. It returns the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	e := &env{ctx: ctx, environ: environ, stdin: os.Stdin, stdout: stdout, stderr: stderr}
	var wrongLang error
	e.lang, wrongLang = language(args, e.getenv)

	var g grammar
	parser, err := kong.New(&g, kong.Name("fenhao"), kong.NoDefaultHelp(), helpVars(e.lang))
	if err != nil {
		return e.fail(err) // a mistake in the grammar above, which any test would meet
	}
	app, at, help := parser.Model.Node, firstWord(args), asksForHelp(args)
	if wrongLang != nil {
		return e.wrongUsage(wrongLang)
	}
	if err := unknownFlag(app, args[:at]); err != nil {
		return e.wrongUsage(err)
	}
	if at == len(args) {
		printHelp(e, app)
		return exitDone
	}
	chosen := child(app, args[at])
	if chosen == nil {
		return e.wrongUsage(unknownCommand(app, args[at]))
	}
	for len(chosen.Children) > 0 { // a noun: its verb follows
		if at++; at == len(args) || strings.HasPrefix(args[at], "-") {
			break
		}
		verb := child(chosen, args[at])
		if verb == nil {
			return e.wrongUsage(unknownCommand(chosen, args[at]))
		}
		chosen = verb
	}
	if help || len(chosen.Children) > 0 {
		printCommandHelp(e, chosen)
		return exitDone
	}

	command, err := parser.Parse(args)
	if err != nil {
		return e.wrongUsage(explain(chosen, args[at+1:], err))
	}
	if err := command.Run(e); err != nil {
		return e.fail(err)
	}
	return exitDone
}

// fail prints err and returns the exit code of a command that failed.
func (e *env) fail(err error) int {
	fmt.Fprintln(e.stderr, "fenhao: "+inLanguage(err, e.lang))
	return exitFailed
}

// wrongUsage prints err with the way to the help and returns the exit code of wrong usage.
func (e *env) wrongUsage(err error) int {
	fmt.Fprintln(e.stderr, "fenhao: "+inLanguage(err, e.lang))
	fmt.Fprintln(e.stderr, e.text("用法：fenhao --help", "Usage: fenhao --help"))
	return exitUsage
}

// inLanguage is the text of err in lang, where err or what it wraps has one, else its plain text.
func inLanguage(err error, lang string) string {
	var speaks interface{ In(lang string) string }
	if errors.As(err, &speaks) {
		return speaks.In(lang)
	}
	return err.Error()
}

// language decides which language to speak: --lang, else FENHAO_LANG, else the locale. A --lang that is neither zh nor
// en is an error, which is then told in the language of the environment.
func language(args []string, getenv func(string) string) (string, error) {
	lang := "en"
	for _, name := range []string{"FENHAO_LANG", "LC_ALL", "LC_MESSAGES", "LANG"} {
		if locale := getenv(name); locale != "" {
			if strings.HasPrefix(strings.ToLower(locale), "zh") {
				lang = "zh"
			}
			break
		}
	}
	for i, arg := range args {
		value, given := strings.CutPrefix(arg, "--lang=")
		if arg == "--lang" {
			value, given = strings.Join(args[i+1:min(i+2, len(args))], ""), true
		}
		switch {
		case !given:
		case value == "zh" || value == "en":
			return value, nil
		default:
			return lang, failure("--lang 只能是 zh 或 en，不能是 %q", "--lang is zh or en, not %q", value)
		}
	}
	return lang, nil
}
