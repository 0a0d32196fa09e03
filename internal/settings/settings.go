// Package settings fills a struct from a TOML file, from environment variables and
// from flags, later ones winning. The struct is the only declaration of each setting:
// its kong tags say default, help and group, and from its name follow the key in the
// file, the variable and the flag.
//
// A field `Dir` of an embedded struct with `prefix:"journal-"` is the key `dir` in
// [journal], the variable PRIMECLOUD_JOURNAL_DIR and the flag --journal-dir. The tag
// `variable:"NAME"` gives PRIMECLOUD_NAME instead. The tag `secret:""` marks what may
// not be on a command line, where every process of the machine can read it; it can come
// from the file that PRIMECLOUD_<NAME>_FILE names; the tag `missing` ends the sentence
// that it is not there.
package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"
)

// Prefix begins the name of every variable that is a setting.
const Prefix = "PRIMECLOUD_"

// Setting is one field of a struct of settings.
type Setting struct {
	Section  string // of the file; "": none
	Key      string // in its section
	Variable string
	Flag     string
	Default  string
	Help     string
	Secret   bool
	missing  string // said when its file is not there
	field    *kong.Flag
}

// Path is the setting's place in a file, as a person writes it.
func (s *Setting) Path() string {
	if s.Section == "" {
		return s.Key
	}
	return s.Section + "." + s.Key
}

// List returns the settings of a struct, in the order of their declaration. target is
// a pointer to it.
func List(target any) ([]Setting, error) {
	app, err := kong.New(target, kong.NoDefaultHelp(), Values())
	if err != nil {
		return nil, err
	}
	sections := map[string]string{} // by the prefix of their flags
	for f := range reflect.TypeOf(target).Elem().Fields() {
		if prefix := f.Tag.Get("prefix"); prefix != "" {
			sections[prefix] = underscored(strings.TrimSuffix(prefix, "-"))
		}
	}
	list := make([]Setting, 0, len(app.Model.Flags))
	for _, f := range app.Model.Flags {
		s := Setting{Key: underscored(f.Name), Flag: f.Name, Default: f.Default, Help: f.Help, Secret: f.Tag.Has("secret"), missing: f.Tag.Get("missing"), field: f}
		for prefix, section := range sections {
			if key, ok := strings.CutPrefix(f.Name, prefix); ok {
				s.Section, s.Key = section, underscored(key)
			}
		}
		s.Variable = Prefix + strings.ToUpper(underscored(f.Name))
		if name := f.Tag.Get("variable"); name != "" {
			s.Variable = Prefix + name
		}
		list = append(list, s)
	}
	return list, nil
}

func underscored(s string) string { return strings.ReplaceAll(s, "-", "_") }

// Source is what a file and the environment say. It is a kong.Resolver.
type Source struct {
	// Exposed says of files of secrets that every user of the machine can read them.
	Exposed []string

	values map[string]given // by flag
	list   []Setting
	again  func(target any) (*Source, error)
	files  []string
}

type given struct {
	value any
	where string
}

// Read reads a TOML file ("": none) and environ for the settings of target, a pointer
// to a struct; target itself it leaves alone. variables are others of our prefix that
// are no settings. The error names every setting that is unknown or cannot be read.
func Read(target any, file string, environ []string, variables ...string) (*Source, error) {
	list, err := List(reflect.New(reflect.TypeOf(target).Elem()).Interface())
	if err != nil {
		return nil, err
	}
	s := &Source{values: map[string]given{}, list: list, again: func(target any) (*Source, error) { return Read(target, file, environ, variables...) }}
	err = errors.Join(s.readFile(file), s.readEnvironment(environ, variables))
	for i := range list {
		if v, ok := s.values[list[i].Flag]; ok {
			into := reflect.New(list[i].field.Target.Type()).Elem()
			value := &kong.DecodeContext{Value: list[i].field.Value, Scan: kong.Scan().PushTyped(v.value, kong.FlagValueToken)}
			if perr := value.Value.Mapper.Decode(value, into); perr != nil {
				if list[i].Secret {
					perr = errors.New("a text is expected; write it in quotes") // perr quotes what is there
				}
				err = errors.Join(err, fmt.Errorf("%s: %w", v.where, perr))
			}
		}
	}
	return s, Invalid(err)
}

// Error is what makes settings unusable.
type Error struct{ error }

func (e *Error) Unwrap() error { return e.error }

// Invalid makes an *Error of an error, and nil of nil.
func Invalid(err error) error {
	if err == nil {
		return nil
	}
	return &Error{err}
}

// Load fills target, a pointer to a struct, with its defaults and what Read reads.
func Load(target any, file string, environ []string, variables ...string) error {
	s, err := Read(target, file, environ, variables...)
	if err != nil {
		return err
	}
	_, err = s.fill(target)
	return err
}

func (s *Source) fill(target any) (*kong.Kong, error) {
	app, err := kong.New(target, kong.NoDefaultHelp(), kong.Resolvers(s), Values())
	if err != nil {
		return nil, err
	}
	_, err = app.Parse(nil)
	return app, err
}

// Files are those that were read, as they were named.
func (s *Source) Files() []string { return s.files }

// Again fills target, a pointer to a struct, with what file and environment say by now. What
// was a flag of the command line that was parsed stays what it was.
func (s *Source) Again(target any, parsed *kong.Context) error {
	now, err := s.again(target)
	if err != nil {
		return err
	}
	app, err := now.fill(target)
	if err != nil {
		return err
	}
	for _, p := range parsed.Path {
		for _, f := range app.Model.Flags {
			if p.Flag != nil && !p.Resolved && f.Name == p.Flag.Name {
				f.Target.Set(p.Flag.Target)
			}
		}
	}
	return nil
}

// Differ lists the settings in which two structs of one type differ, pointers to which
// are given, as a person writes them in a file.
func Differ(a, b any) []string {
	var paths []string
	before, err := List(a)
	after, berr := List(b)
	if err != nil || berr != nil {
		return nil // a tag is wrong: then nothing could be loaded
	}
	for i := range before {
		if !reflect.DeepEqual(before[i].field.Target.Interface(), after[i].field.Target.Interface()) {
			paths = append(paths, before[i].Path())
		}
	}
	return paths
}

func (s *Source) readFile(file string) error {
	if file == "" {
		return nil
	}
	s.files = append(s.files, file)
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("the settings' file %s (--config or %sCONFIG) cannot be read (%w); name one that is there", file, Prefix, unnamed(err))
	}
	tree := map[string]any{}
	if err := toml.NewDecoder(bytes.NewReader(b)).Decode(&tree); err != nil {
		// Its position alone: the error's text can quote a line, which may hold a secret.
		if d := (*toml.DecodeError)(nil); errors.As(err, &d) {
			line, column := d.Position()
			return fmt.Errorf("%s is no TOML: line %d, column %d; write key = value, texts in quotes", file, line, column)
		}
		return fmt.Errorf("%s is no TOML; write key = value, texts in quotes", file)
	}
	var errs []error
	take := func(section, key string, value any) {
		for i := range s.list {
			if s.list[i].Section == section && s.list[i].Key == key {
				s.values[s.list[i].Flag] = given{value, file + ": " + s.list[i].Path()}
				return
			}
		}
		name := Setting{Section: section, Key: key}
		errs = append(errs, fmt.Errorf("%s: there is no setting %s%s", file, name.Path(), s.instead(section, key)))
	}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		table, ok := tree[name].(map[string]any)
		if !ok || slices.ContainsFunc(s.list, func(c Setting) bool { return c.Section == "" && c.Key == name }) {
			take("", name, tree[name])
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(table)) {
			take(name, key, table[key])
		}
	}
	return errors.Join(errs...)
}

// instead names the setting that somebody may have meant who wrote another name: one
// of a file from before there were sections, or one letter off.
func (s *Source) instead(section, key string) string {
	key = underscored(key)
	name := strings.Trim(underscored(section)+"_"+key, "_")
	for _, same := range []func(*Setting) bool{
		func(c *Setting) bool { return underscored(c.Flag) == name || underscored(c.Flag) == key },
		func(c *Setting) bool { return Prefix+strings.ToUpper(name) == c.Variable },
		func(c *Setting) bool { return c.Key == key },
		func(c *Setting) bool { return near(c.Key, key) },
	} {
		for i := range s.list {
			if c := &s.list[i]; same(c) {
				if c.Section == "" {
					return fmt.Sprintf("; write %s before the first section", c.Key)
				}
				return fmt.Sprintf("; write %s in [%s]", c.Key, c.Section)
			}
		}
	}
	return "; docs/CONFIGURATION.md lists them"
}

// near reports whether two names differ by one letter, or by the order of two.
func near(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	for i := range b {
		switch {
		case i < len(a) && a[i] == b[i]:
		case len(a) == len(b):
			return a[i+1:] == b[i+1:] || i+1 < len(b) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		default:
			return a[i:] == b[i+1:]
		}
	}
	return true
}

func (s *Source) readEnvironment(environ, variables []string) error {
	var errs []error
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, Prefix) || slices.Contains(variables, name) {
			continue
		}
		base, isFile := strings.CutSuffix(name, "_FILE")
		i := slices.IndexFunc(s.list, func(c Setting) bool { return c.Variable == name || isFile && c.Secret && c.Variable == base })
		if i < 0 {
			errs = append(errs, fmt.Errorf("%s is not a setting%s; docs/CONFIGURATION.md lists them", name, s.variableInstead(name)))
			continue
		}
		if name != s.list[i].Variable {
			s.files = append(s.files, value)
			b, err := os.ReadFile(value)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: the file %q cannot be read (%w); name one that is there%s", name, value, unnamed(err), s.list[i].missing))
				continue
			}
			value = strings.TrimSpace(string(b))
			s.noteExposed(name, kv[len(name)+1:])
		}
		s.values[s.list[i].Flag] = given{value, name}
	}
	return errors.Join(errs...)
}

// noteExposed looks at the mode of a secret's file.
func (s *Source) noteExposed(variable, file string) {
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o004 != 0 {
		s.Exposed = append(s.Exposed, fmt.Sprintf("%s: every user of this machine can read %s; run: chmod 600 %[2]s", variable, file))
	}
}

// unnamed is why a file cannot be read, without its name.
func unnamed(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (s *Source) variableInstead(name string) string {
	key := strings.ToLower(strings.TrimPrefix(name, Prefix))
	for _, same := range []func(*Setting) bool{
		func(c *Setting) bool { return c.Key == key },
		func(c *Setting) bool { return near(c.Variable, name) },
	} {
		for i := range s.list {
			if same(&s.list[i]) {
				return "; it is " + s.list[i].Variable
			}
		}
	}
	return ""
}

// Validate implements kong.Resolver.
func (s *Source) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver: the value of a flag that is not on the command line.
func (s *Source) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if v, ok := s.values[flag.Name]; ok {
		return v.value, nil
	}
	return nil, nil //nolint:nilnil // kong's "not here"
}

// CheckCommandLine refuses secrets among the flags that a command was called with.
func (s *Source) CheckCommandLine(parsed *kong.Context) error {
	for _, p := range parsed.Path {
		if p.Flag == nil || p.Resolved || !p.Flag.Tag.Has("secret") {
			continue
		}
		for i := range s.list {
			if s.list[i].Flag == p.Flag.Name {
				return fmt.Errorf("--%s: every user of the machine could read it on a command line; set %s_FILE to a file that holds it", p.Flag.Name, s.list[i].Variable)
			}
		}
	}
	return nil
}
