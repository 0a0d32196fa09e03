package settings_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/primecloudpro/primecloud/internal/settings"
)

type config struct {
	Name  string `default:"a" help:"a name"`
	Token string `secret:"" hidden:""`

	Part  part  `embed:"" prefix:"part-"`
	Store store `embed:"" prefix:"big-store-"`
}

type part struct {
	Addr  string `default:":1" help:"where"`
	Hosts []string
	Wait  time.Duration `default:"1m"`
	Loud  bool
	Most  int `default:"7"`
}

type store struct {
	Addr string `variable:"STORE"`
	Size int    `name:"size-mib"`
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Later sources win: file, environment, flags.
func TestLoad(t *testing.T) {
	t.Parallel()
	file := write(t, "name = 'from file'\n[part]\naddr = ':2'\nhosts = ['x', 'y']\nwait = '5s'\nloud = true\nmost = 8\n[big_store]\naddr = 'file'\nsize_mib = 3\n")
	secret := write(t, "hush\n")
	for _, c := range []struct {
		name    string
		file    string
		environ []string
		want    config
	}{
		{"defaults", "", []string{"PATH=/bin", "HOME=/"}, config{Name: "a", Part: part{Addr: ":1", Wait: time.Minute, Most: 7}}},
		{"file", file, nil, config{Name: "from file", Part: part{":2", []string{"x", "y"}, 5 * time.Second, true, 8}, Store: store{"file", 3}}},
		{"environment over file", file, []string{"PRIMECLOUD_PART_ADDR=", "PRIMECLOUD_PART_HOSTS=z", "PRIMECLOUD_STORE=env", "PRIMECLOUD_PART_LOUD=false", "PRIMECLOUD_TOKEN_FILE=" + secret, "PRIMECLOUD_OTHER=1"},
			config{Name: "from file", Token: "hush", Part: part{"", []string{"z"}, 5 * time.Second, false, 8}, Store: store{"env", 3}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got config
			if err := settings.Load(&got, c.file, c.environ, "PRIMECLOUD_OTHER"); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestResolver_flags(t *testing.T) {
	t.Parallel()
	parse := func(t *testing.T, args ...string) (config, error) {
		t.Helper()
		src, err := settings.Read(&config{}, write(t, "[part]\naddr = ':2'\nmost = 8\n"), []string{"PRIMECLOUD_PART_ADDR=:3"})
		if err != nil {
			t.Fatal(err)
		}
		var got config
		app, err := kong.New(&got, kong.Resolvers(src))
		if err != nil {
			t.Fatal(err)
		}
		ctx, err := app.Parse(args)
		if err != nil {
			t.Fatal(err)
		}
		return got, src.CheckCommandLine(ctx)
	}
	if got, err := parse(t, "--part-addr=:4", "--part-loud"); err != nil || got.Part.Addr != ":4" || got.Part.Most != 8 || !got.Part.Loud {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parse(t, "--token", "hush"); err == nil || !strings.Contains(err.Error(), "PRIMECLOUD_TOKEN_FILE") || strings.Contains(err.Error(), "hush") {
		t.Errorf("a secret on the command line: %v", err)
	}
}

// What is wrong is named, all of it at once, with what may have been meant.
func TestRead_refuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file    string
		environ []string
		want    []string
	}{
		"a name without its section":        {"part_addr = ':2'\n", nil, []string{"there is no setting part_addr; write addr in [part]"}},
		"a key that has moved":              {"hosts = ['x']\n", nil, []string{"there is no setting hosts; write hosts in [part]"}},
		"a variable's name":                 {"store = 'x'\n", nil, []string{"there is no setting store; write addr in [big_store]"}},
		"one letter off":                    {"[part]\nadr = ':2'\n", nil, []string{"there is no setting part.adr; write addr in [part]"}},
		"two letters exchanged":             {"nmae = 'x'\n", nil, []string{"there is no setting nmae; write name before the first section"}},
		"an unknown section":                {"[parts]\nzzz = 1\n", nil, []string{"there is no setting parts.zzz"}},
		"an unknown variable":               {"", []string{"PRIMECLOUD_PART_ADR=1"}, []string{"PRIMECLOUD_PART_ADR is not a setting; it is PRIMECLOUD_PART_ADDR"}},
		"a variable that has moved":         {"", []string{"PRIMECLOUD_HOSTS=1"}, []string{"PRIMECLOUD_HOSTS is not a setting; it is PRIMECLOUD_PART_HOSTS"}},
		"a file for what is no secret":      {"", []string{"PRIMECLOUD_PART_ADDR_FILE=/etc/hosts"}, []string{"PRIMECLOUD_PART_ADDR_FILE is not a setting"}},
		"a secret's file that is not there": {"", []string{"PRIMECLOUD_TOKEN_FILE=/nowhere"}, []string{`PRIMECLOUD_TOKEN_FILE: the file "/nowhere" cannot be read`}},
		"no TOML":                           {"name: x\n", nil, []string{"is no TOML: line 1, column 5"}},
		"everything at once": {"[part]\nwait = 'soon'\nmost = 'many'\nadr = 1\n", []string{"PRIMECLOUD_PART_LOUD=perhaps", "PRIMECLOUD_X=1"},
			[]string{"part.wait: ", "part.most: ", "part.adr; write addr", "PRIMECLOUD_PART_LOUD: ", "PRIMECLOUD_X is not"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := ""
			if c.file != "" {
				file = write(t, c.file)
			}
			_, err := settings.Read(&config{}, file, c.environ)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in: %v", part, err)
				}
			}
		})
	}
}

// No error shows what a secret is, or may be.
func TestRead_hidesSecrets(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"not TOML, in its line":    "token = 'hush' 'hush'\n",
		"not TOML, in the next":    "token = 'hush'\nname = \n",
		"a list":                   "token = ['hush']\n",
		"a table":                  "token = { of = 'hush' }\n",
		"a setting twice":          "token = 'hush'\ntoken = 'hush'\n",
		"under an unknown name":    "tokn = 'hush'\n",
		"under an unknown section": "[hidden]\ntoken = 'hush'\n",
	} {
		if _, err := settings.Read(&config{}, write(t, text), nil); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Read again, a setting is what file, secret's file and variables say by then, and
// what the command line has said stays; target is left as it is by what is wrong.
func TestSource_Again(t *testing.T) {
	t.Parallel()
	file, token := write(t, "name = 'one'\n[part]\nmost = 1\naddr = 'one'\n"), write(t, "hush")
	source, err := settings.Read(&config{}, file, []string{"PRIMECLOUD_TOKEN_FILE=" + token, "PRIMECLOUD_STORE=env"})
	if err != nil {
		t.Fatal(err)
	}
	if files := source.Files(); !reflect.DeepEqual(files, []string{file, token}) {
		t.Errorf("files: %q", files)
	}
	var began config
	app, err := kong.New(&began, kong.Resolvers(source))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := app.Parse([]string{"--part-addr=flag", "--part-hosts=a,b"})
	if err != nil {
		t.Fatal(err)
	}
	again := func(text string) (c config, err error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err = source.Again(&c, parsed)
		return c, err
	}
	if c, err := again("name = 'one'\n[part]\nmost = 1\naddr = 'one'\n"); err != nil || !reflect.DeepEqual(c, began) || len(settings.Differ(&began, &c)) != 0 {
		t.Errorf("unchanged: %+v, %v; %+v before; %q differ", c, err, began, settings.Differ(&began, &c))
	}
	if err := os.WriteFile(token, []byte("louder\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := again("[part]\nmost = 2\naddr = 'two'\nhosts = ['c']\n")
	if want := (config{Name: "a", Token: "louder", Part: part{Addr: "flag", Hosts: []string{"a", "b"}, Wait: time.Minute, Most: 2}, Store: store{Addr: "env"}}); err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("%+v, %v; want %+v", c, err, want)
	}
	if paths := settings.Differ(&began, &c); !reflect.DeepEqual(paths, []string{"name", "token", "part.most"}) {
		t.Errorf("%q differ", paths)
	}
	if _, err := again("[part]\nmoost = 2\n"); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a name that is wrong: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := source.Again(&c, parsed); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file that is gone: %v", err)
	}
}
