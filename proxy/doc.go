// Package proxy is the S3 data path of the gateway.
//
// A request goes one way. Each stage, in the file of its name, fills its part
// of a pooled exchange or returns an error that ends the request:
//
//	parse      target, headers, host → addressing, bucket, key, operation; a custom
//	           domain → account
//	resolve    tenant host → account; access key id → identity; identity → account
//	verify     SigV4 over exactly what was parsed
//	authorize  account status, key's rights, bucket ownership, copy source
//	admit      lengths, ids and limits, before any body byte is asked for
//	forward    the request rebuilt from what was understood, signed with the
//	           backend's credential, sent; the response's head awaited
//	rewrite    the response's names and headers mapped back, body prepared
//	reserve    the response's bytes taken from budgets, before the first is sent
//
// then settle runs exactly once, when the response has reached the socket or has
// failed: ledger, metrics, one log line. What an operation does beyond its row of
// the table is in handlers.go.
//
// Beside that a request is charged: bound to a cell of the ledger, admitted by the
// limiter, settled. charge.go has these states and all that moves between them.
//
// Comments here and below cite rules by number (S3-RULES.md A17): what each
// demands, and why, is in docs/S3-RULES.md.
//
// Four rules hold everywhere. Nothing of the client's request is forwarded
// because it was there, only because the operation's row allows it. The
// (bucket, key, version) that was authorised is the one that is encoded
// upstream; it is decoded once, in parse. Ids that the backend gave out reach
// clients as tokens, and come back to it only when they open for that bucket
// and key. And nothing is committed before it is verified: the last byte of an upload is held back until its signature
// chain, trailer, checksum and length have passed, and until authorize, asked
// again, still says yes.
package proxy
