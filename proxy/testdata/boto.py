"""boto3, stock: what it moves must come back, presigned and by form too."""
import io
import os
import sys
import urllib.request

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError

if "--installed" in sys.argv:
    print(boto3.__version__)
    sys.exit()

bucket, path = os.environ["BUCKET"], os.environ["FILE"]
s3 = boto3.client("s3", endpoint_url=os.environ["ENDPOINT"], verify=os.environ.get("AWS_CA_BUNDLE"))
s3.create_bucket(Bucket=bucket)
s3.upload_file(path, bucket, "big file")
out = io.BytesIO()
s3.download_fileobj(bucket, "big file", out)
with open(path, "rb") as f:
    data = f.read()
assert out.getvalue() == data

for size in (0, 1, 70000):
    s3.put_object(Bucket=bucket, Key="k", Body=data[:size], Metadata={"a": "b"}, ContentType="text/x-test")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == data[:size] and got["Metadata"] == {"a": "b"} and got["ContentType"] == "text/x-test"
assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=5-9")["Body"].read() == data[5:10]

s3.copy({"Bucket": bucket, "Key": "big file"}, bucket, "copied")
assert s3.head_object(Bucket=bucket, Key="copied")["ContentLength"] == len(data)
assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == [bucket]
assert {o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]} == {"big file", "k", "copied"}
s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
v1 = s3.put_object(Bucket=bucket, Key="v", Body=b"1")["VersionId"]
s3.put_object(Bucket=bucket, Key="v", Body=b"2")
assert s3.get_object(Bucket=bucket, Key="v", VersionId=v1)["Body"].read() == b"1"
s3.put_object_tagging(Bucket=bucket, Key="v", Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
assert s3.get_object_tagging(Bucket=bucket, Key="v")["TagSet"] == [{"Key": "x", "Value": "y"}]

v4 = boto3.client("s3", endpoint_url=os.environ["ENDPOINT"], verify=os.environ.get("AWS_CA_BUNDLE"),
                  config=Config(signature_version="s3v4"))


def fetch(url):
    import ssl
    context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    return urllib.request.urlopen(url, context=context if url.startswith("https") else None).read()


assert fetch(v4.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "v", "VersionId": v1})) == b"1"

# The default signs with version 2 on custom endpoints: the error says what to set.
try:
    fetch(s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "v"}))
    raise SystemExit("a version 2 signature was accepted")
except urllib.error.HTTPError as e:
    assert e.code == 400 and b"s3v4" in e.read()

try:
    s3.get_object(Bucket=bucket, Key="missing")
    raise SystemExit("a missing key was found")
except ClientError as e:
    assert e.response["Error"]["Code"] == "NoSuchKey"

for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
    entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": e["Key"], "VersionId": e["VersionId"]} for e in entries]})
    assert len(gone["Deleted"]) == len(entries) and "Errors" not in gone
s3.delete_bucket(Bucket=bucket)
