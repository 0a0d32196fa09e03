package proxy_test

import (
	"strings"
	"testing"
)

// FuzzKept_lifecycle: rules of any parts, with any texts, against MinIO: what is
// accepted is read back equal.
func FuzzKept_lifecycle(f *testing.F) {
	g := newGateway(f, options{})
	e := g.tenant().raw()
	e.must(f, &request{method: "PUT", path: "/kept"})
	c := configurations["PutBucketLifecycleConfiguration"]
	for i := range c.parts {
		f.Add([]byte{0, byte(i)}, "a")
		f.Add([]byte{1, byte(i), 254, 0, byte(i)}, " é/\r\n")
	}
	f.Add([]byte{0, 6, 255, 1, 9, 255, 2, 27, 28, 34}, strings.Repeat("x", 255))
	f.Fuzz(func(t *testing.T, picks []byte, text string) {
		if len(picks) > 40 || len(text) > 2000 {
			return
		}
		var doc strings.Builder
		doc.WriteString("<LifecycleConfiguration>")
		own := false // the next part has the text in place of its own
		rule := part{}
		end := func() {
			if len(rule) > 0 {
				inside := rule.write("x")
				doc.WriteString(inside[len("<x>") : len(inside)-len("</x>")])
			}
			rule = part{}
		}
		for _, pick := range picks {
			switch pick {
			case 255:
				end()
			case 254:
				own = true
			default:
				next := c.base[int(pick)%len(c.base)]
				if len(rule) > 0 {
					next = c.parts[int(pick)%len(c.parts)]
				}
				for path, value := range next {
					if own && !strings.HasSuffix(path, "Status") {
						value = text
					}
					rule[path] = value
				}
				own = false
			}
		}
		end()
		doc.WriteString("</LifecycleConfiguration>")
		c.keeps(t, e, "/kept", "lifecycle", doc.String())
	})
}
