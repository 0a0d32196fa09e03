// Package s3xml is the documents of S3: requests, read strictly and built anew
// from what was understood; answers, rewritten so that they hold the client's
// names; errors. It does no I/O but on the readers and writers it is given.
package s3xml
