package main

// invariants are those of ARCHITECTURE.md, by their numbers.
var invariants = []promise{
	{
		"ARCHITECTURE.md", "18",
		"an object is made only where a listing has it and hides no other, and who has an answer may send what contradicts it",
		"./proxy", "TestNames_everyOperation|TestNames_versions|TestNames_freed",
		[]change{
			{"proxy/look.go", "return l.askObject(name)", "return nil"},
			{"proxy/look.go", "status == 404 && len(a.resp.Header(\"x-amz-delete-marker\")) == 0", "status == 404"},
			{"proxy/look.go", "\tl.claims.Release()\n", ""},
			{"proxy/body.go", "\tif err := b.x.nameFree(); err != nil {\n\t\treturn b.fail(err)\n\t}\n", ""},
		},
	},
	{
		"ARCHITECTURE.md", "9",
		"nothing of a backend's words reaches a client but S3's own answers",
		"./proxy", "TestF1_backendsWords",
		[]change{
			{"proxy/answerheaders.go", "row := x.op.Tells(key)\n", "row := x.op.Tells(key)\n\t\tif row == nil {\n\t\t\th.AddBytesKV(key, value)\n\t\t}\n"},
			{"proxy/respond.go", "Message:   e.text(),", "Message:   e.Error(),"},
			{"proxy/backenderror.go", "\t}\n\treturn false\n}\n\n// errorStatuses", "\t}\n\treturn true\n}\n\n// errorStatuses"},
		},
	},
	{
		"ARCHITECTURE.md", "3",
		"an object is stored only when all of it has come and its signatures and digests were right",
		"./proxy", "TestRules_commit",
		[]change{
			{"sigv4/chunk.go", "if subtle.ConstantTimeCompare(w.sign(w.hex[:0], c.key, w.sts), c.current[:]) != 1 {", "if subtle.ConstantTimeCompare(w.sign(w.hex[:0], c.key, w.sts), c.current[:]) < 0 {"},
			{"sigv4/chunk.go", "func (c *ChunkReader) end() error {\n\tif err := c.verifyChunk(); err != nil {\n\t\treturn err\n\t}\n", "func (c *ChunkReader) end() error {\n"},
			{"sigv4/chunk.go", "if !bytes.Equal(encoded[:n], value) {", "if !bytes.Equal(encoded[:n], value) && value == nil {"},
		},
	},
	{
		"ARCHITECTURE.md", "5",
		"what a node remembers of a row it forgets when the row changes, whoever changed it",
		"./tenancy", "TestDirectory_hearsChanges",
		[]change{
			{"internal/pg/migrations/0013_least_rights.sql", "PERFORM public.tell_change('account:' || r.account_id);", "NULL;"},
			{"internal/pg/migrations/0013_least_rights.sql", "PERFORM public.tell_change('bucket:' || account_id || '/' || name) FROM", "PERFORM 1 FROM"},
			{"internal/pg/migrations/0013_least_rights.sql", "PERFORM public.tell_change('key:' || k.key_id) FROM", "PERFORM 1 FROM"},
			{"tenancy/listen.go", "\t\td.names.invalidate(key)\n", ""},
		},
	},
}
