package s3op_test

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// toldIn is an HTTP client whose answers have one header.
type toldIn struct{ name, value string }

func (a toldIn) Do(*http.Request) (*http.Response, error) {
	h := http.Header{}
	if a.name != "" {
		h.Set(a.name, a.value)
	}
	return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// readBySDK is what an SDK reads of an answer to the operation with one header.
func readBySDK(t *testing.T, operation, name, value string) string {
	t.Helper()
	client := s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: awssdk.String("http://backend"), UsePathStyle: true, HTTPClient: toldIn{name, value}, Credentials: awssdk.AnonymousCredentials{},
		APIOptions: []func(*middleware.Stack) error{func(s *middleware.Stack) error {
			_, err := s.Initialize.Remove("OperationInputValidation")
			return err
		}}})
	call := reflect.ValueOf(client).MethodByName(operation)
	in := reflect.New(call.Type().In(1).Elem())
	for _, field := range []string{"Bucket", "Key", "CopySource", "UploadId"} {
		if f := in.Elem().FieldByName(field); f.IsValid() {
			f.Set(reflect.ValueOf(awssdk.String("x")))
		}
	}
	if f := in.Elem().FieldByName("PartNumber"); f.IsValid() {
		f.Set(reflect.ValueOf(awssdk.Int32(1)))
	}
	out := call.Call([]reflect.Value{reflect.ValueOf(t.Context()), in})
	if err, _ := out[1].Interface().(error); err != nil {
		t.Fatalf("%s with %s: %v", operation, name, err)
	}
	if f := out[0].Elem().FieldByName("Body"); f.IsValid() {
		f.SetZero()
	}
	told, err := json.Marshal(out[0].Interface())
	if err != nil {
		t.Fatal(err)
	}
	return string(told)
}

// byMinIO are headers that MinIO tells and S3 has in the document instead.
var byMinIO = map[string]bool{"CopyObject etag": true, "CompleteMultipartUpload etag": true}

// The headers of each operation's answer are those of S3's model: an SDK reads
// every one of them, and none of the others.
func TestTells_sdk(t *testing.T) {
	t.Parallel()
	headers := s3op.ResponseHeaderNames()
	if len(headers) < 30 {
		t.Fatal(headers)
	}
	for _, op := range s3op.Operations {
		if op.Action != s3op.Forward || op.Name == "PostObject" { // SDKs send no forms
			continue
		}
		without := readBySDK(t, op.Name, "", "")
		for _, name := range headers {
			value := "17"
			switch name {
			case "last-modified", "expires":
				value = "Wed, 21 Oct 2026 07:28:00 GMT"
			case "x-amz-abort-date":
				value = "Wed, 21 Oct 2026 07:28:00 GMT"
			case "x-amz-object-lock-retain-until-date":
				value = "2026-10-21T07:28:00Z"
			case "x-amz-delete-marker":
				value = "true"
			}
			reads := readBySDK(t, op.Name, name, value) != without
			if told := op.Tells([]byte(name)) != nil; told != reads && !byMinIO[op.Name+" "+name] {
				t.Errorf("%s tells %s: %v, an SDK reads it: %v", op.Name, name, told, reads)
			}
		}
	}
}
