//! The producer's identity, as the template makes it, may put to its stream, and nothing else.

use local::aws::{Aws, Refused};
use serde_json::{Value, json};

use super::Cloud;

fn refusal(result: anyhow::Result<Value>) -> String {
    let error = result.expect_err("the call was allowed");
    error
        .downcast::<Refused>()
        .expect("the service never answered")
        .code
}

#[test]
fn the_producer_may_put_to_its_stream_and_nothing_else() {
    // Given two stacks, and the producer's identity of one
    let cloud = Cloud::shared();
    let (stack, other) = (cloud.stack("permissions"), cloud.stack("permissions-other"));
    let producer = cloud.aws.with(stack.producer_key(&cloud.aws).unwrap());
    let line = json!({ "headwater": 1, "id": "01J9ZQ", "at": "2026-01-15T10:35:00Z", "from": "test", "line": "here" });
    let data = {
        use base64::Engine;
        base64::prelude::BASE64_STANDARD.encode(line.to_string())
    };
    let put = |stream: &str| json!({ "StreamName": stream, "PartitionKey": "k", "Data": data });

    // When it puts to its own stream, then that is allowed, one by one and many at once
    producer.kinesis("PutRecord", &put(&stack.stream)).unwrap();
    let many =
        json!({ "StreamName": stack.stream, "Records": [{ "PartitionKey": "k", "Data": data }] });
    assert_eq!(
        producer.kinesis("PutRecords", &many).unwrap()["FailedRecordCount"],
        0
    );

    // When it does anything else, then that is denied
    let denied = "AccessDeniedException";
    assert_eq!(
        refusal(producer.kinesis("PutRecord", &put(&other.stream))),
        denied
    );
    let describe = json!({ "TableName": stack.table });
    assert_eq!(
        refusal(producer.dynamodb("DescribeTable", &describe)),
        denied
    );
    let iterator = cloud.aws.kinesis(
        "GetShardIterator",
        &json!({ "StreamName": stack.stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON" }),
    );
    let iterator = json!({ "ShardIterator": iterator.unwrap()["ShardIterator"], "StreamARN": arn(&cloud.aws, &stack.stream) });
    assert_eq!(refusal(producer.kinesis("GetRecords", &iterator)), denied);
}

#[test]
fn a_wrong_secret_is_refused() {
    // Given the producer's access key, with another secret
    let cloud = Cloud::shared();
    let stack = cloud.stack("permissions-secret");
    let key = stack.producer_key(&cloud.aws).unwrap();
    let wrong =
        aws_credential_types::Credentials::new(key.access_key_id(), "wrong", None, None, "test");

    // When it puts, then the signature is found out: this cloud verifies what it is sent
    let put = json!({ "StreamName": stack.stream, "PartitionKey": "k", "Data": "aGVyZQ==" });
    let code = refusal(cloud.aws.with(wrong).kinesis("PutRecord", &put));
    assert!(
        ["InvalidSignatureException", "SignatureDoesNotMatch"].contains(&code.as_str()),
        "{code}"
    );
}

fn arn(aws: &Aws, stream: &str) -> Value {
    let summary = aws
        .kinesis("DescribeStreamSummary", &json!({ "StreamName": stream }))
        .unwrap();
    summary["StreamDescriptionSummary"]["StreamARN"].clone()
}
