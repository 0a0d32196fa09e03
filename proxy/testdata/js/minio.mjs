// minio (minio-js), stock: buffers, streams and files, versions, copies, locks,
// presigned URLs and forms.
import assert from "node:assert/strict";
import { createReadStream, readFileSync } from "node:fs";
import { Readable } from "node:stream";
import * as minio from "minio";

if (process.argv.includes("--installed")) {
  console.log(JSON.parse(readFileSync(new URL("node_modules/minio/package.json", import.meta.url))).version);
  process.exit();
}

const { ENDPOINT, BUCKET: bucket, FILE } = process.env;
const url = new URL(ENDPOINT);
const client = new minio.Client({
  endPoint: url.hostname, port: Number(url.port), useSSL: url.protocol === "https:", region: "us-east-1", partSize: 5 << 20,
  accessKey: process.env.AWS_ACCESS_KEY_ID, secretKey: process.env.AWS_SECRET_ACCESS_KEY,
});
const data = readFileSync(FILE);
const all = async (stream) => {
  const parts = [];
  for await (const p of stream) parts.push(p);
  return parts;
};
const body = async (stream) => Buffer.concat(await all(stream));
const same = (a, b) => assert.ok(a.equals(b), `${a.length} bytes, wanted are ${b.length}`);
const get = async (key, options) => body(await client.getObject(bucket, key, options));
const refused = async (code, promise) => assert.rejects(promise, (e) => e.code === code, code);

await client.makeBucket(bucket);
await refused("BucketAlreadyOwnedByYou", client.makeBucket(bucket));
assert.equal(await client.bucketExists(bucket), true);
assert.equal(await client.bucketExists(bucket + "-missing"), false);
assert.deepEqual((await client.listBuckets()).map((b) => b.name), [bucket]);

for (const size of [0, 1, 70000]) {
  await client.putObject(bucket, "buffer", data.subarray(0, size), size, { "X-Amz-Meta-A": "b", "Content-Type": "text/x-test" });
  same(await get("buffer"), data.subarray(0, size));
  await client.putObject(bucket, "stream", Readable.from([data.subarray(0, size)]), size);
  same(await get("stream"), data.subarray(0, size));
}
const stat = await client.statObject(bucket, "buffer");
assert.ok(stat.size === 70000 && stat.metaData.a === "b" && stat.metaData["content-type"] === "text/x-test", JSON.stringify(stat));
await client.fPutObject(bucket, "multi", FILE);
same(await get("multi"), data);
await client.putObject(bucket, "of unknown length", createReadStream(FILE));
same(await get("of unknown length"), data);
same(await body(await client.getPartialObject(bucket, "multi", 5, 10)), data.subarray(5, 15));
await client.fGetObject(bucket, "multi", FILE + ".back");
same(readFileSync(FILE + ".back"), data);
await refused("NoSuchKey", client.getObject(bucket, "missing"));
await refused("NotFound", client.statObject(bucket, "missing"));
await refused("NoSuchBucket", client.getObject(bucket + "-missing", "k"));

const odd = ["sp ace", "pl+us", "per%cent", "ünï/☃", "a=b&c;d", "tilde~(!*)", "quo\"te'", "dir/"];
for (const key of odd) {
  await client.putObject(bucket, "odd/" + key, key);
  assert.equal((await get("odd/" + key)).toString(), key);
}
const names = async (stream) => (await all(stream)).map((o) => o.name ?? o.prefix).sort();
assert.deepEqual(await names(client.listObjectsV2(bucket, "odd/", true)), odd.map((k) => "odd/" + k).sort());
assert.deepEqual(await names(client.listObjects(bucket, "odd/", true)), odd.map((k) => "odd/" + k).sort());
assert.ok((await names(client.listObjectsV2(bucket))).includes("odd/"));

const conditions = new minio.CopyConditions();
conditions.setMatchETag(stat.etag);
await client.copyObject(bucket, "copy ü", `/${bucket}/buffer`, conditions);
same(await get("copy ü"), data.subarray(0, 70000));
conditions.setMatchETag("0".repeat(32));
await refused("PreconditionFailed", client.copyObject(bucket, "copy ü", `/${bucket}/buffer`, conditions));
await client.composeObject(
  new minio.CopyDestinationOptions({ Bucket: bucket, Object: "composed" }),
  ["multi", "buffer"].map((Object) => new minio.CopySourceOptions({ Bucket: bucket, Object })),
);
same(await get("composed"), Buffer.concat([data, data.subarray(0, 70000)]));

const upload = await client.initiateNewMultipartUpload(bucket, "unfinished", {});
assert.deepEqual((await all(client.listIncompleteUploads(bucket, "unfinished", true))).map((u) => u.uploadId), [upload]);
await client.removeIncompleteUpload(bucket, "unfinished");
assert.deepEqual(await all(client.listIncompleteUploads(bucket, "unfinished", true)), []);

await client.setBucketVersioning(bucket, { Status: "Enabled" });
assert.equal((await client.getBucketVersioning(bucket)).Status, "Enabled");
const v1 = (await client.putObject(bucket, "v", "1")).versionId;
await client.putObject(bucket, "v", "2");
assert.equal((await get("v", { versionId: v1 })).toString(), "1");
await client.removeObject(bucket, "v");
await refused("NoSuchKey", client.getObject(bucket, "v"));

await client.setObjectTagging(bucket, "multi", { x: "y" });
assert.deepEqual(await client.getObjectTagging(bucket, "multi"), [{ Key: "x", Value: "y" }]);
await client.removeObjectTagging(bucket, "multi");
assert.deepEqual(await client.getObjectTagging(bucket, "multi"), []);
await client.setBucketTagging(bucket, { x: "y" });
assert.deepEqual(await client.getBucketTagging(bucket), [{ Key: "x", Value: "y" }]);
await client.removeBucketTagging(bucket);
await refused("NoSuchTagSet", client.getBucketTagging(bucket));
await client.setBucketLifecycle(bucket, { Rule: [{ ID: "r", Status: "Enabled", Filter: { Prefix: "tmp/" }, Expiration: { Days: 3 } }] });
assert.match(JSON.stringify(await client.getBucketLifecycle(bucket)), /"ID":"r"/);
await client.removeBucketLifecycle(bucket);
await client.setBucketEncryption(bucket, { Rule: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } }] });
await client.getBucketEncryption(bucket);
await client.removeBucketEncryption(bucket);
const policy = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: { AWS: ["*"] }, Action: ["s3:GetObject"], Resource: [`arn:aws:s3:::${bucket}/multi`] }] };
await client.setBucketPolicy(bucket, JSON.stringify(policy));
assert.equal(JSON.parse(await client.getBucketPolicy(bucket)).Statement.length, 1);
await client.setBucketPolicy(bucket, "");

const locked = bucket + "-locked";
await client.makeBucket(locked, "", { ObjectLocking: true });
const held = (await client.putObject(locked, "k", "x")).versionId;
await client.setObjectLegalHold(locked, "k", { status: "ON", versionId: held });
assert.deepEqual(await client.getObjectLegalHold(locked, "k", { versionId: held }), { Status: "ON" });
// So MinIO refuses it; AWS: AccessDenied.
await refused("InvalidRequest", client.removeObject(locked, "k", { versionId: held }));
await client.setObjectLegalHold(locked, "k", { status: "OFF", versionId: held });
await client.setObjectLockConfig(locked, { mode: "GOVERNANCE", unit: "Days", validity: 1 });
assert.equal((await client.getObjectLockConfig(locked)).mode, "GOVERNANCE");
await client.setObjectLockConfig(locked, {});
await client.putObjectRetention(locked, "k", { mode: "GOVERNANCE", retainUntilDate: new Date(Date.now() + 86400000).toISOString(), versionId: held });
assert.equal((await client.getObjectRetention(locked, "k", { versionId: held })).mode, "GOVERNANCE");

const ok = async (response, status) => assert.equal(response.status, status, await response.text());
await ok(await fetch(await client.presignedPutObject(bucket, "presigned", 60), { method: "PUT", body: "by URL" }), 200);
assert.equal(await (await fetch(await client.presignedGetObject(bucket, "presigned", 60))).text(), "by URL");
const form = client.newPostPolicy();
form.setBucket(bucket);
form.setKey("by form");
form.setContentLengthRange(1, 100);
form.setExpires(new Date(Date.now() + 60000));
const { postURL, formData } = await client.presignedPostPolicy(form);
const fields = new FormData();
for (const [name, value] of Object.entries(formData)) fields.append(name, value);
fields.append("file", new Blob(["by form"]));
await ok(await fetch(postURL, { method: "POST", body: fields }), 204);
assert.equal((await get("by form")).toString(), "by form");

const versions = (await all(client.listObjects(bucket, "", true, { IncludeVersion: true }))).map(({ name, versionId }) => ({ name, versionId }));
assert.ok(versions.some((v) => v.name === "v" && v.versionId === v1));
assert.deepEqual((await client.removeObjects(bucket, versions)).filter((r) => r?.Error ?? r?.Code), []);
await client.removeBucket(bucket);
process.exit(); // its connections are kept, and would keep the process until the server closes them
