// Command conformance holds PrimeCloud against S3's clients: it runs the stock
// clients and the comparison with MinIO that are tests of proxy, and minio-go's
// functional tests against the whole product, and writes what came of it into
// docs/S3-COMPATIBILITY.md. It fails when anything differs that is not named here
// or there with its reason, and when something named does not differ.
package main
