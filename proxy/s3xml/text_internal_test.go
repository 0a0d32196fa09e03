package s3xml

import (
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzKeyText: whatever a key is, its text is read back as the key; and where
// XML can hold it, any reader of XML agrees.
func FuzzKeyText(f *testing.F) {
	for _, s := range []string{"", "plain", "a&b<c>\"d'", "tab\tline\nreturn\r", "ctl\x01\x1f\x7f", "é☃😀", "\ufffe\uffff", "&#x1;", "]]>", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := appendKeyText(nil, s)
		got, err := unescape(text)
		if err != nil || utf8.ValidString(s) && !strings.Contains(s, "\x00") && got != s {
			t.Fatalf("%q is written %q and read %q, %v", s, text, got, err)
		}
		var doc struct {
			Text string `xml:",chardata"`
		}
		if err := xml.Unmarshal([]byte("<a>"+string(text)+"</a>"), &doc); err == nil && doc.Text != got {
			t.Fatalf("%q is written %q, which others read as %q", s, text, doc.Text)
		}
	})
}

// What is no character data is refused, whole.
func TestUnescape_refuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"&", "a&b", "&;", "&amp", "&nbsp;", "&#;", "&#x;", "&#0;", "&#x0;", "&#xD800;", "&#x110000;", "&#-1;", "&#x1g;", "&#+1;", "&#99999999999;", "& amp;", "&AMP;"} {
		if got, err := unescape([]byte(s)); err == nil || got != "" {
			t.Errorf("%q is read as %q", s, got)
		}
	}
}
