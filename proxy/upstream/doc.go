// Package upstream is the HTTP/1.1 transport from the gateway to the S3
// servers behind it: connections, health, retry and framing. It knows nothing
// of accounts or signatures: the caller builds and signs the request head for
// the endpoint that was chosen.
//
// It is its own client because the data path needs what general clients do
// not give: the answer's body as a socket that the kernel can splice from, an
// upload that can be cut so that the backend drops it, a head that is written
// as signed, and no retry of anything whose body has begun to move.
package upstream
