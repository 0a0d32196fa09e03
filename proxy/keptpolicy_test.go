package proxy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// policySays is all that a policy says: a list of one is its one entry, everyone is
// everyone in whichever spelling, lists are sets, and no version is the older
// (reference_policies_elements_version.html, reference_policies_grammar.html).
func policySays(t *testing.T, doc []byte) string {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(doc, &p); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	if p["Version"] == nil || p["Version"] == "" {
		p["Version"] = "2008-10-17"
	}
	if p["Id"] == "" {
		delete(p, "Id")
	}
	statements, ok := p["Statement"].([]any)
	if !ok {
		statements = []any{p["Statement"]}
	}
	p["Statement"] = statements
	for _, one := range statements {
		s, _ := one.(map[string]any)
		if s["Sid"] == "" {
			delete(s, "Sid")
		}
		if fmt.Sprint(s["Principal"]) == "map[AWS:*]" || fmt.Sprint(s["Principal"]) == "map[AWS:[*]]" {
			s["Principal"] = "*"
		}
		for _, name := range []string{"Action", "Resource"} {
			var set []string
			switch v := s[name].(type) {
			case string:
				set = []string{v}
			case []any:
				for _, each := range v {
					set = append(set, fmt.Sprint(each))
				}
			}
			slices.Sort(set)
			s[name] = slices.Compact(set)
		}
	}
	said, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}

// TestKept_policy: each key of a policy and of its statements, with each of its
// values, together with each of another key.
func TestKept_policy(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/kept"})
	outer := map[string][]string{
		"Version": {"", `"2012-10-17"`, `"2008-10-17"`, `""`, `"2012-10-18"`, `1`},
		"Id":      {"", `"an id"`, `""`, `"2008-10-17 x"`, `"2012-10-17 "`, `" é\"<"`, `1`},
	}
	inner := map[string][]string{
		"Sid":       {"", `"a"`, `""`, `"Sid With é"`},
		"Effect":    {`"Allow"`, `"Deny"`, ""},
		"Principal": {`"*"`, `{"AWS":"*"}`, `{"AWS":["*"]}`, ""},
		"Action": {`"s3:GetObject"`, `["s3:GetObject"]`, `["s3:GetObject","s3:GetObjectVersion","s3:GetObjectTagging","s3:ListMultipartUploadParts"]`, `["s3:GetObject","s3:GetObject"]`,
			`["s3:GetBucketLocation","s3:ListBucket","s3:ListBucketVersions","s3:ListBucketMultipartUploads"]`, `"s3:ListBucket"`, ""},
		"Resource": {`"arn:aws:s3:::kept/*"`, `["arn:aws:s3:::kept/*"]`, `["arn:aws:s3:::kept","arn:aws:s3:::kept/*"]`, `["arn:aws:s3:::kept/b?/é*","arn:aws:s3:::kept/a/*"]`, `"arn:aws:s3:::kept"`,
			`["arn:aws:s3:::kept/a/*","arn:aws:s3:::kept/a/*"]`, `"arn:aws:s3:::kept/${aws:username}/*"`, ""},
		"NotAction": {"", `"s3:GetObject"`},
		"Condition": {"", `{}`, `{"StringEquals":{"s3:prefix":"a"}}`},
	}
	object := func(chosen map[string]string) string {
		var fields []string
		for _, name := range []string{"Version", "Id", "Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "Condition", "Statement"} {
			if v := chosen[name]; v != "" {
				fields = append(fields, fmt.Sprintf("%q:%s", name, v))
			}
		}
		return "{" + strings.Join(fields, ",") + "}"
	}
	// pairs is the first value of each key, but of two at a time each value.
	pairs := func(of map[string][]string) (out []string) {
		for a := range of {
			for b := range of {
				for _, va := range of[a] {
					for _, vb := range of[b] {
						chosen := map[string]string{}
						for name, values := range of {
							chosen[name] = values[0]
						}
						chosen[a], chosen[b] = va, vb
						if statement := `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::kept/*"}`; of["Version"] != nil {
							chosen["Statement"] = statement
						}
						out = append(out, object(chosen))
					}
				}
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	docs := pairs(outer)
	statement := func(sid, action, resource string) string {
		return fmt.Sprintf(`{"Sid":%q,"Effect":"Allow","Principal":"*","Action":%s,"Resource":%s}`, sid, action, resource)
	}
	const get, all = `"s3:GetObject"`, `"arn:aws:s3:::kept/*"`
	for _, s := range pairs(inner) {
		docs = append(docs, `{"Version":"2012-10-17","Statement":[`+s+`]}`)
	}
	for _, two := range [][2]string{
		{statement("a", get, all), statement("b", `"s3:GetObjectTagging"`, all)},
		{statement("b", get, all), statement("a", get, `"arn:aws:s3:::kept/x/*"`)},
		{statement("a", get, all), statement("b", get, all)},
		{statement("a", get, all), statement("a", get, all)},
		{statement("", `["s3:GetObject","s3:GetObjectTagging"]`, all), statement("b", `["s3:GetObjectTagging","s3:GetObject"]`, all)},
	} {
		docs = append(docs, `{"Version":"2012-10-17","Statement":[`+two[0]+","+two[1]+`]}`, `{"Version":"2012-10-17","Id":"x","Statement":`+two[0]+`}`)
	}
	kept := map[string]bool{}
	for _, doc := range docs {
		put := e.do(t, &request{method: "PUT", path: "/kept", query: query("policy", ""), body: []byte(doc)})
		if put.status >= 300 {
			if put.status != 501 && put.status != 400 || textOf(t, put.body, "Message") == "" {
				t.Errorf("%s is answered %d %s", doc, put.status, put.body)
			}
			continue
		}
		got := e.must(t, &request{method: "GET", path: "/kept", query: query("policy", "")})
		sent := policySays(t, []byte(doc))
		if told := policySays(t, got.body); sent != told {
			t.Errorf("%s\n is accepted:   %s\n and read back: %s", doc, sent, told)
		}
		for _, values := range []map[string][]string{outer, inner} {
			for name := range values {
				if strings.Contains(sent, `"`+name+`"`) {
					kept[name] = true
				}
			}
		}
	}
	for _, name := range []string{"Version", "Id", "Sid", "Effect", "Principal", "Action", "Resource"} {
		if !kept[name] {
			t.Errorf("no policy with %s was accepted and read back", name)
		}
	}
}
