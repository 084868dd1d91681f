"""What Data Firehose makes of packs and of plain records is in S3, and DuckDB reads both, with the same result.

docs/second-consumer.yaml is deployed to moto, once for packs and once for plain records. moto's Firehose does not read a
stream: this script does its part, as the template tells it (delimiter, compression, prefix, extension)."""

import gzip
import json
import os
import pathlib
import tempfile

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="eu-west-1")

import boto3
import duckdb
import zstandard
from moto.server import ThreadedMotoServer

POSTS, POSTS_A_PACK = 1000, 30
TEMPLATE = pathlib.Path(__file__).parents[2] / "docs" / "second-consumer.yaml"


def post(n):
    text = "margherita, please" if n % 10 == 0 else f"pizza {n} 🍕"
    return json.dumps({"data": {"id": str(n), "text": text, "created_at": "2026-01-15T10:35:00.000Z"}})


def packs(lines):
    """The boards' records: a Zstandard frame of lines each, and once an empty one."""
    for n in range(0, len(lines), POSTS_A_PACK):
        text = "".join(line + "\n" for line in lines[n : n + POSTS_A_PACK])
        yield zstandard.ZstdCompressor(level=1, write_checksum=True).compress(text.encode())
    yield zstandard.ZstdCompressor().compress(b"")


def deploy(client, packed):
    """Deploys the template, looks at who may assume its role, and gives the name of its bucket."""
    name = f"archive-{packed}"
    parameters = {"KinesisStreamName": "posts", "Packed": packed}
    client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=TEMPLATE.read_text(),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    stack = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    account = client("sts").get_caller_identity()["Account"]
    for role in client("iam").list_roles()["Roles"]:
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": account}}, trust
    return next(output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == "Bucket")


def read(client, bucket, pattern, sql):
    """What DuckDB says of the bucket's files."""
    with tempfile.TemporaryDirectory() as folder:
        for file in client("s3").list_objects_v2(Bucket=bucket)["Contents"]:
            client("s3").download_file(bucket, file["Key"], f"{folder}/{pathlib.Path(file['Key']).name}")
        return duckdb.sql(sql.format(files=f"read_json('{folder}/{pattern}', format = 'newline_delimited')")).fetchall()


def main():
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = lambda service: boto3.client(service, endpoint_url=f"http://{host}:{port}")
    lines = [post(n) for n in range(POSTS)]

    # Given what Firehose writes: packs one after another as they are, plain records with a newline each, in gzip
    packed, plain = deploy(client, "true"), deploy(client, "false")
    records = list(packs(lines))
    for n, part in enumerate((records[:20], records[20:])):
        client("s3").put_object(Bucket=packed, Key=f"posts/2026/01/15/{n}.zst", Body=b"".join(part))
    body = gzip.compress("".join(line + "\n" for line in lines).encode())
    client("s3").put_object(Bucket=plain, Key="posts/2026/01/15/0.gz", Body=body)

    # When DuckDB reads the files as they are
    everything = "SELECT data.id::INT AS id, data.text, data.created_at FROM {files} ORDER BY id"
    found = "SELECT count(*) FROM {files} WHERE lower(data.text) LIKE '%margherita%'"
    from_packs, from_plain = read(client, packed, "*.zst", everything), read(client, plain, "*.gz", everything)

    # Then each post is there once, and packed ones are the same as plain ones
    assert [row[0] for row in from_packs] == list(range(POSTS)), len(from_packs)
    assert from_packs == from_plain
    assert read(client, packed, "*.zst", found) == [(POSTS // 10,)]
    server.stop()
    print(f"docs/second-consumer: {POSTS} posts in {len(records)} packs, the same in DuckDB as plain ones")


main()
