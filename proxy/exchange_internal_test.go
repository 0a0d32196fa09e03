package proxy

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// What a released exchange may have that a fresh one has not: a window of fixed
// size, which is empty by its indices, and the states of hashes, which begin
// anew with each body.
var keptMemory = map[string]bool{
	"exchange.buffers.chunks.buf":        true,
	"exchange.buffers.chunks.chunkHash":  true,
	"exchange.buffers.chunks.sumsByKind": true,
}

// A released exchange is a fresh one but for its buffers, which are empty:
// every field that there is, and every one that is added, is filled and looked
// at again. What a test forgets to fill, no request of another account can find.
func TestExchange_releasedIsFresh(t *testing.T) {
	used, fresh := exchanges.New().(*exchange), exchanges.New().(*exchange)
	filled := 0
	fill(t, reflect.ValueOf(used).Elem(), "exchange", 0, &filled)
	if filled < 150 {
		t.Fatalf("only %d fields were filled", filled)
	}
	// These two give back what they hold: there is nothing behind it here.
	zero(reflect.ValueOf(&used.tally).Elem().FieldByName("cell"))
	zero(reflect.ValueOf(&used.grant).Elem().FieldByName("l"))
	// Bound to their exchange once.
	used.out.x, used.out.head = used, fresh.out.head
	used.clear()
	if used.stream.x != used || used.body.x != used || used.out.x != used {
		t.Error("a released exchange is not its own")
	}
	used.stream.x, used.body.x, used.out.x = fresh, fresh, fresh
	same(t, reflect.ValueOf(used).Elem(), reflect.ValueOf(fresh).Elem(), "exchange")
}

// fill sets every field to something that is not its zero.
func fill(t *testing.T, v reflect.Value, path string, depth int, filled *int) {
	t.Helper()
	if depth > 12 {
		return
	}
	v = writable(v)
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.Type.Size() > 0 {
				fill(t, v.Field(i), path+"."+f.Name, depth+1, filled)
			}
		}
		return
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1, filled)
		}
		return
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
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 8))
		for i := range v.Len() {
			fill(t, v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1, filled)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.Func:
		v.Set(reflect.MakeFunc(v.Type(), func([]reflect.Value) []reflect.Value { return nil }))
	case reflect.Interface:
		for _, candidate := range []any{sha256.New(), emptyReader{}, errDenied, &countingReader{}, &requestBody{}, &exchange{}} {
			if c := reflect.ValueOf(candidate); c.Type().Implements(v.Type()) {
				v.Set(c)
				break
			}
		}
		if v.IsNil() {
			t.Errorf("%s: the test has nothing to fill a %v with", path, v.Type())
		}
	default:
		t.Errorf("%s: the test cannot fill a %v", path, v.Kind())
	}
	*filled++
}

// same wants nothing in got that is not in want, buffers without contents aside.
func same(t *testing.T, got, want reflect.Value, path string) {
	t.Helper()
	if keptMemory[path] {
		return
	}
	got, want = writable(got), writable(want)
	switch got.Kind() {
	case reflect.Struct:
		for i := range got.NumField() {
			same(t, got.Field(i), want.Field(i), path+"."+got.Type().Field(i).Name)
		}
	case reflect.Slice:
		if got.Len() != want.Len() {
			t.Errorf("%s has %d elements after release", path, got.Len())
		}
		if got.Cap() > 0 && want.Cap() == 0 && got.Len() == 0 && !keepsMemory(path) {
			t.Errorf("%s keeps memory, and is no buffer", path)
		}
	case reflect.Func:
		if got.IsNil() != want.IsNil() {
			t.Errorf("%s is set after release", path)
		}
	default:
		if !reflect.DeepEqual(got.Interface(), want.Interface()) {
			t.Errorf("%s is %v after release, %v when fresh", path, got.Interface(), want.Interface())
		}
	}
}

func keepsMemory(path string) bool { return strings.HasPrefix(path, "exchange.buffers.") }

// writable is v without the mark of an unexported field.
func writable(v reflect.Value) reflect.Value {
	if !v.CanAddr() {
		return v
	}
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
}

func zero(v reflect.Value) {
	v = writable(v)
	v.SetZero()
}
