// Package pooled tests what is used again and again: that an object which goes
// back into its pool keeps memory, and nothing of whom it was used for. It looks
// at every field that there is, so that one that is added later is looked at too.
package pooled

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"unsafe"
)

const maxDepth = 12

// Fill sets every field of *v, however deep and exported or not, to something
// that is not its zero, and returns how many it has set. An interface becomes
// the first of values that fits.
func Fill(t testing.TB, v any, values ...any) int {
	t.Helper()
	f := filler{t: t, values: values}
	root := reflect.ValueOf(v).Elem()
	f.fill(root, root.Type().Name(), 0)
	return f.n
}

type filler struct {
	t      testing.TB
	values []any
	n      int
}

func (f *filler) fill(v reflect.Value, path string, depth int) {
	if depth > maxDepth {
		return
	}
	v = writable(v)
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.Type.Size() > 0 {
				f.fill(v.Field(i), path+"."+field.Name, depth+1)
			}
		}
		return
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
		return
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 8))
		for i := range v.Len() {
			f.fill(v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		v.SetUint(7)
	case reflect.String:
		v.SetString("of somebody else")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.Func:
		v.Set(reflect.MakeFunc(v.Type(), func([]reflect.Value) []reflect.Value { return nil }))
	case reflect.Interface:
		i := slices.IndexFunc(f.values, func(value any) bool { return reflect.TypeOf(value).Implements(v.Type()) })
		if i < 0 {
			f.t.Fatalf("%s: no value for a %v was given", path, v.Type())
		}
		v.Set(reflect.ValueOf(f.values[i]))
	default:
		f.t.Fatalf("%s: a %v cannot be filled", path, v.Kind())
	}
	f.n++
}

// Fresh wants *got to be as *want, a new one, is: slices without elements may
// have room, and the fields of the paths in kept may be as they like.
func Fresh(t testing.TB, got, want any, kept ...string) {
	t.Helper()
	g, w := reflect.ValueOf(got).Elem(), reflect.ValueOf(want).Elem()
	fresh(t, g, w, g.Type().Name(), kept)
}

func fresh(t testing.TB, got, want reflect.Value, path string, kept []string) {
	t.Helper()
	if slices.Contains(kept, path) {
		return
	}
	got, want = writable(got), writable(want)
	switch got.Kind() {
	case reflect.Struct:
		for i := range got.NumField() {
			fresh(t, got.Field(i), want.Field(i), path+"."+got.Type().Field(i).Name, kept)
		}
	case reflect.Slice:
		if got.Len() != want.Len() {
			t.Errorf("%s has %d elements, a fresh one %d", path, got.Len(), want.Len())
		}
	case reflect.Func:
		if got.IsNil() != want.IsNil() {
			t.Errorf("%s is set: %v, of a fresh one: %v", path, !got.IsNil(), !want.IsNil())
		}
	default:
		if !reflect.DeepEqual(got.Interface(), want.Interface()) {
			t.Errorf("%s is %.100s, of a fresh one %.100s", path, fmt.Sprint(got.Interface()), fmt.Sprint(want.Interface()))
		}
	}
}

// Zero sets the field of *v that the names lead to to its zero.
func Zero(v any, names ...string) {
	f := reflect.ValueOf(v).Elem()
	for _, name := range names {
		f = f.FieldByName(name)
	}
	writable(f).SetZero()
}

// writable is v without the mark of an unexported field.
func writable(v reflect.Value) reflect.Value {
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem() //nolint:gosec // reflection alone does not write unexported fields
}
