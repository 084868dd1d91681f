"""The plain loop that headwater replaces: each line of standard input is one `put_record`.

AWS_ENDPOINT_URL names the server, AWS_CA_BUNDLE whom it trusts.
"""

import sys

import boto3

kinesis = boto3.client("kinesis", region_name="eu-west-1")
for number, line in enumerate(sys.stdin):
    kinesis.put_record(StreamName="posts", PartitionKey=f"{number:026}", Data=line.rstrip("\n"))
