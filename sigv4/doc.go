// Package sigv4 is AWS Signature Version 4 as S3 speaks it: it verifies what
// clients sign, in a header, in a presigned query, in a POST policy and chunk
// by chunk, and signs what is sent to the backend. It does no I/O but reading
// from the readers it is given, and knows no accounts.
//
// A server parses the request target once (Target), hands the headers as they
// came (Request), reads the credential (Auth.Parse), finds the secret of
// Auth.AccessKeyID, and verifies (Auth.Verify). With a cached SigningKey the
// whole way allocates nothing.
//
// Rules that comments cite by number are in docs/S3-RULES.md: what S3 gateways got
// wrong, and how it is done here. The AWS pages are
// docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html,
// sigv4-streaming.html, sigv4-streaming-trailers.html, sigv4-query-string-auth.html
// and sigv4-HTTPPOSTConstructPolicy.html.
package sigv4
