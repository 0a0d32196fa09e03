package main

import (
	"fmt"
	"strings"
)

// category is why one of minio-go's functional tests may do anything but pass.
type category string

const (
	sigV2     category = "signature Version 2"
	checksums category = "checksum kinds that MinIO lacks"
	extension category = "MinIO's own extensions"
	lenience  category = "MinIO differs from S3" // by taking more or saying less, and the test expects it
	same      category = "MinIO does not pass it either"
)

// difference is a test that does anything but pass, and what it says then: another
// cause is another difference.
type difference struct {
	test     string
	status   status
	says     string // part of it
	category category
	reason   string
}

// differences are all that are meant.
var differences = append(version2(),
	difference{"testPutObjectWithChecksums", ignored, "NotImplemented", checksums, "SHA512, MD5 and XXHash; run again without them"},
	difference{"testPutObjectWithTrailingChecksums", failed, "x-amz-trailer must name one x-amz-checksum- header", checksums, "SHA512, MD5 and XXHash; run again without them"},
	difference{"testPutMultipartObjectWithChecksums", failed, "Invalid Argument", checksums, "SHA512, MD5 and XXHash; run again without them"},
	difference{"testListObjectsChecksums", failed, "x-amz-trailer must name one x-amz-checksum- header", checksums, "SHA512, MD5 and XXHash; run again without them"},
	difference{"testPutObjectWithAutomaticChecksums", ignored, "", same, "it skips itself when the answer has no CRC32C, which minio-go did not send"},
	difference{"testBucketNotification", ignored, "", same, "it skips itself when it is told of no queue"},
	difference{"testGetObjectWithRange", silent, "", same, "it has a line for each failure, and none for its end"},
	difference{"testCorsSetGetDelete", ignored, "SetBucketCors", same, "rules of CORS for a bucket: a licence of MinIO's; not supported here yet"},
	difference{"testCors", ignored, "SetBucketPolicy", same, "rules of CORS for a bucket: a licence of MinIO's; not supported here yet; a policy that lets everybody write is refused before"},
	difference{"testObjectAnnotations", ignored, "PutObjectAnnotation", same, "annotations need a licence of MinIO's"},
	difference{"testGetObjectS3Zip", ignored, "s3zip", extension, "files inside of zip archives (x-minio-extract)"},
	difference{"testListObjects", failed, "ListObjects failed unexpectedly", extension, "a listing with metadata (metadata=true)"},
	difference{"testListUnsorted", failed, "list-type, metadata", extension, "a listing with metadata (metadata=true)"},
	difference{"testGetObjectACLContext", ignored, "PutObject", lenience, "x-amz-acl: public-read-write, which MinIO takes and drops, is refused: nothing is public by an ACL"},
	difference{"testListMultipartUpload", failed, "ListMultipartUploads-prefix failed", lenience, "it expects MinIO's empty Owner and Initiator; S3 names them"},
	difference{"testMakeBucketError", failed, "The credential is for another region", lenience, "buckets in eu-central-1, signed for it; an endpoint has one region, and a MinIO without one takes any"},
	difference{"testListObjectsChecksums again", failed, "list-type, metadata", extension, "a listing with metadata (metadata=true)"},
	difference{"testFunctionalV2 again", failed, "Presigned with extra headers succeeded", same, "that fails with Version 2 only"},
	difference{"testMakeBucketErrorV2 again", failed, "The credential is for another region", lenience, "as testMakeBucketError"},
	difference{"testMakeBucketRegionsV2 again", failed, "The credential is for another region", lenience, "as testMakeBucketRegions"},
	difference{"testMakeBucketRegions", failed, "The credential is for another region", lenience, "buckets in eu-central-1 and us-west-2, signed for them; an endpoint has one region, and a MinIO without one takes any"},
)

// version2 are the tests that sign with Version 2, which is refused with a sentence.
func version2() (list []difference) {
	for _, test := range []string{
		"testMakeBucketErrorV2", "testGetObjectClosedTwiceV2", "testFPutObjectV2", "testMakeBucketRegionsV2", "testGetObjectReadSeekFunctionalV2",
		"testGetObjectReadAtFunctionalV2", "testCopyObjectV2", "testFunctionalV2", "testComposeObjectErrorCasesV2", "testCompose10KSourcesV2",
		"testUserMetadataCopyingV2", "testPutObject0ByteV2", "testPutObjectMetadataNonUSASCIIV2", "testPutObjectNoLengthV2", "testPutObjectsUnknownV2",
		"testGetObjectContextV2", "testFPutObjectContextV2", "testFGetObjectContextV2", "testPutObjectContextV2", "testEncryptedCopyObjectV2",
		"testCopyObjectWithChecksums", "testReplaceObjectWithChecksums",
	} {
		list = append(list, difference{test, failed, "Signature Version 2 is not supported", sigV2, "refused with a sentence; run again with Version 4"})
	}
	return list
}

// differs is what is known of a test.
func differs(test string) *difference {
	for i := range differences {
		if differences[i].test == test {
			return &differences[i]
		}
	}
	return nil
}

// passesAtMinIO says whether a test of the category passes against MinIO itself: the
// gateway's difference; or it does not: MinIO's own.
func (c category) passesAtMinIO() bool { return c != checksums && c != same }

// judgeMinIO holds the result of a test that differs, against MinIO itself, to its
// category.
func judgeMinIO(d *difference, r result) error {
	if (r.status == passed) != d.category.passesAtMinIO() {
		return fmt.Errorf("%s is listed as %q, and against MinIO itself it ends with %s %s", d.test, d.category, r.status, r.detail)
	}
	return nil
}

// judge holds a result against the differences: nil when it is as it must be.
func judge(r result) (d *difference, err error) {
	d = differs(r.test)
	switch {
	case d == nil && r.status == passed:
		return nil, nil //nolint:nilnil // no difference and none is named
	case d == nil:
		return nil, fmt.Errorf("%s: %s: %s", r.test, r.status, r.detail)
	case r.status == passed:
		return d, fmt.Errorf("%s passes, and is listed as different: %s", r.test, d.reason)
	case r.status != d.status || !strings.Contains(r.detail, d.says):
		return d, fmt.Errorf("%s is listed with %s %q: %s: %s", r.test, d.status, d.says, r.status, r.detail)
	}
	return d, nil
}
