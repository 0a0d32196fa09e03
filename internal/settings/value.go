package settings

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"github.com/primecloudpro/primecloud/internal/quantity"
)

// Values has a parser read values as people write them, and say of a wrong one what
// was written and what to write. Settings and the flags of every command are read
// by it, so that a duration is one everywhere.
func Values() kong.Option {
	return kong.PostBuild(func(k *kong.Kong) error {
		return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
			if v, ok := node.(*kong.Value); ok {
				v.Mapper = mapper{}
			}
			return next(nil)
		})
	})
}

// mapper reads any value. Its errors do not name the flag: who asks for one does.
type mapper struct{}

// Decode implements kong.Mapper.
func (mapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	if target.Kind() == reflect.Pointer {
		target = target.Elem() // kong has made one
	}
	token := ctx.Scan.Peek()
	if target.Kind() == reflect.Bool && token.Type != kong.FlagValueToken {
		target.SetBool(true)
		return nil
	}
	if !token.IsValue() {
		return missingValue(ctx.Value, token)
	}
	ctx.Scan.Pop()
	if text, ok := token.Value.(string); ok && (!utf8.ValidString(text) || strings.ContainsRune(text, 0)) {
		return fmt.Errorf("%q is not text; write it in UTF-8, without zero bytes", text)
	}
	if target.Kind() != reflect.Slice {
		return read(token.Value, target)
	}
	for _, one := range elements(ctx.Value, token.Value) {
		element := reflect.New(target.Type().Elem()).Elem()
		if err := read(one, element); err != nil {
			return err
		}
		target.Set(reflect.Append(target, element))
	}
	return nil
}

// elements are those of a list, which may be written as one text.
func elements(v *kong.Value, given any) (list []any) {
	switch given := given.(type) {
	case []any:
		return given
	case string:
		for _, one := range kong.SplitEscaped(given, v.Tag.Sep) {
			list = append(list, one)
		}
		return list
	}
	return []any{given}
}

func missingValue(v *kong.Value, instead kong.Token) error {
	like := strings.ToUpper(v.Name)
	if v.Flag != nil {
		like = v.Flag.FormatPlaceHolder()
	}
	if instead.IsEOL() {
		return fmt.Errorf("a value is missing; write --%s=%s", v.Name, like)
	}
	return fmt.Errorf("a value is missing; write --%s=%s, or --%s=%s if that is the value", v.Name, like, v.Name, instead)
}

func read(given any, target reflect.Value) error {
	text, isText := given.(string)
	if _, ok := given.(map[string]any); ok {
		return errors.New("it is a section; write one value: key = value")
	}
	switch into := target.Addr().Interface().(type) {
	case *time.Duration:
		if !isText {
			return fmt.Errorf("%v has no unit; write a duration in quotes, like %q", given, "5m")
		}
		return set(into, text, quantity.ParseDuration)
	case *netip.Prefix:
		return set(into, fmt.Sprint(given), parseNetwork)
	case encoding.TextUnmarshaler:
		return into.UnmarshalText([]byte(fmt.Sprint(given)))
	}
	switch target.Kind() {
	case reflect.Bool:
		b, err := parseBool(fmt.Sprint(given))
		target.SetBool(b)
		return err
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(fmt.Sprint(given), 10, 64)
		if err != nil {
			return fmt.Errorf("%s is not a whole number; write one like 500", quoted(given))
		}
		target.SetInt(n)
		return nil
	}
	if !isText {
		return fmt.Errorf("%v is not a text; write one in quotes", given)
	}
	target.SetString(text)
	return nil
}

func set[T any](into *T, text string, parse func(string) (T, error)) (err error) {
	*into, err = parse(text)
	return err
}

// quoted is a value as its writer knows it: texts in quotes.
func quoted(given any) string {
	if text, ok := given.(string); ok {
		return strconv.Quote(text)
	}
	return fmt.Sprint(given)
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "yes", "1":
		return true, nil
	case "false", "no", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false; write one of them", s)
}

func parseNetwork(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.Prefix{}, fmt.Errorf("%q is an address, not a network; write %s", s, netip.PrefixFrom(a, a.BitLen()))
	}
	return netip.Prefix{}, fmt.Errorf("%q is not a network; write one like 192.0.2.0/24 or 2001:db8::/32", s)
}
