// @aws-sdk/client-s3, stock, with its default checksums: buffers and streams.
import assert from "node:assert/strict";
import { createReadStream, readFileSync } from "node:fs";
import { Readable } from "node:stream";
import * as s3 from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

if (process.argv.includes("--installed")) {
  console.log(JSON.parse(readFileSync(new URL("node_modules/@aws-sdk/client-s3/package.json", import.meta.url))).version);
  process.exit();
}

const { ENDPOINT, BUCKET: Bucket, FILE } = process.env;
const client = new s3.S3Client({ endpoint: ENDPOINT, region: "us-east-1", forcePathStyle: true });
const data = readFileSync(FILE);
const body = async (out) => Buffer.from(await out.Body.transformToByteArray());

await client.send(new s3.CreateBucketCommand({ Bucket }));
for (const size of [0, 1, 70000, 3 << 20]) {
  const part = data.subarray(0, size);
  await client.send(new s3.PutObjectCommand({ Bucket, Key: "buffer", Body: part, Metadata: { a: "b" } }));
  assert.deepEqual(await body(await client.send(new s3.GetObjectCommand({ Bucket, Key: "buffer" }))), part);
  await client.send(new s3.PutObjectCommand({ Bucket, Key: "stream", Body: Readable.from([part]), ContentLength: size }));
  const got = await client.send(new s3.GetObjectCommand({ Bucket, Key: "stream", ChecksumMode: "ENABLED" }));
  assert.ok(got.ChecksumCRC32, "the checksum of a trailer came back");
  assert.deepEqual(await body(got), part);
}
await client.send(new s3.PutObjectCommand({ Bucket, Key: "file", Body: createReadStream(FILE), ContentLength: data.length }));
assert.deepEqual(await body(await client.send(new s3.GetObjectCommand({ Bucket, Key: "file" }))), data);
for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
  await client.send(new s3.PutObjectCommand({ Bucket, Key: ChecksumAlgorithm, Body: Readable.from([data.subarray(0, 100000)]), ContentLength: 100000, ChecksumAlgorithm }));
  const head = await client.send(new s3.HeadObjectCommand({ Bucket, Key: ChecksumAlgorithm, ChecksumMode: "ENABLED" }));
  assert.ok(head["Checksum" + ChecksumAlgorithm], ChecksumAlgorithm);
}
await new Upload({ client, params: { Bucket, Key: "multi", Body: createReadStream(FILE) }, partSize: 5 << 20 }).done();
assert.deepEqual(await body(await client.send(new s3.GetObjectCommand({ Bucket, Key: "multi" }))), data);
await client.send(new s3.CopyObjectCommand({ Bucket, Key: "copy ü", CopySource: `${Bucket}/multi` }));
const list = await client.send(new s3.ListObjectsV2Command({ Bucket }));
assert.deepEqual(list.Contents.map((o) => o.Key).sort(), ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "buffer", "copy ü", "file", "multi", "stream"]);
await client.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: list.Contents.map(({ Key }) => ({ Key })) } }));
await client.send(new s3.DeleteBucketCommand({ Bucket }));
