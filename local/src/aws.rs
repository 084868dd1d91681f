//! The few AWS calls that are needed for deploying; those that read the results are in [`results`].

mod results;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, ensure};
use aws_credential_types::Credentials;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use roxmltree::Document;
use serde_json::{Value, json};
use ureq::Agent;

use crate::sign;

/// Where everything local lives.
pub const REGION: &str = "eu-west-1";

/// A client with one identity for the services at one endpoint.
#[derive(Clone, Debug)]
pub struct Aws {
    endpoint: String,
    credentials: Credentials,
    agent: Agent,
}

/// An error response of a service. An [`anyhow::Error`] from [`Aws`] can be downcast to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Such as `AccessDeniedException`, without a prefix.
    pub code: String,
    /// Its message.
    pub message: String,
}

/// The XML of an answer.
type Xml = String;

impl Aws {
    /// A client for `endpoint` with `credentials`.
    pub fn new(endpoint: &str, credentials: Credentials) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .new_agent();
        Self {
            endpoint: endpoint.to_owned(),
            credentials,
            agent,
        }
    }

    /// Calls a MiniStack as the root of its account.
    pub fn root(endpoint: &str) -> Self {
        Self::new(
            endpoint,
            Credentials::new("test", "test", None, None, "root"),
        )
    }

    /// The same client with other credentials.
    pub fn with(&self, credentials: Credentials) -> Self {
        Self::new(&self.endpoint, credentials)
    }

    /// Puts `content` into a bucket, which is made if it is not there.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`]).
    pub fn s3_put(&self, bucket: &str, key: &str, content: &[u8]) -> anyhow::Result<()> {
        let place = format!(
            "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        self.call("s3", "PUT", &format!("/{bucket}"), &[], place.as_bytes())?;
        self.call("s3", "PUT", &format!("/{bucket}/{key}"), &[], content)?;
        Ok(())
    }

    /// Begins to create a stack.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`]).
    pub fn create_stack(
        &self,
        name: &str,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        self.change_stack("CreateStack", name, template, parameters)
    }

    /// Begins to make a stack what another template or other parameters say.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`]).
    pub fn update_stack(
        &self,
        name: &str,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        self.change_stack("UpdateStack", name, template, parameters)
    }

    fn change_stack(
        &self,
        action: &str,
        name: &str,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let mut fields = vec![
            ("StackName".to_owned(), name),
            ("TemplateBody".to_owned(), template),
            ("Capabilities.member.1".to_owned(), "CAPABILITY_NAMED_IAM"),
        ];
        for (n, (key, value)) in parameters.iter().enumerate() {
            let member = format!("Parameters.member.{}", n + 1);
            fields.push((format!("{member}.ParameterKey"), key));
            fields.push((format!("{member}.ParameterValue"), value));
        }
        self.query("cloudformation", action, "2010-05-15", &fields)?;
        Ok(())
    }

    /// A stack's status, the reason for it, and its outputs.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`]).
    pub fn describe_stack(&self, name: &str) -> anyhow::Result<StackState> {
        let fields = [("StackName".to_owned(), name)];
        let xml = self.query("cloudformation", "DescribeStacks", "2010-05-15", &fields)?;
        let document = Document::parse(&xml)?;
        let text = |tag: &str| find_text(&document, tag).unwrap_or_default();
        let outputs = document
            .descendants()
            .filter(|node| node.tag_name().name() == "OutputKey")
            .filter_map(|key| {
                let value = key
                    .parent()?
                    .children()
                    .find(|node| node.tag_name().name() == "OutputValue")?;
                Some((key.text()?.to_owned(), value.text()?.to_owned()))
            })
            .collect();
        Ok(StackState {
            status: text("StackStatus"),
            reason: text("StackStatusReason"),
            outputs,
        })
    }

    /// A new access key for `user`.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`]).
    pub fn create_access_key(&self, user: &str) -> anyhow::Result<Credentials> {
        let fields = [("UserName".to_owned(), user)];
        let xml = self.query("iam", "CreateAccessKey", "2010-05-08", &fields)?;
        let document = Document::parse(&xml)?;
        let field = |tag| find_text(&document, tag).with_context(|| format!("IAM named no {tag}"));
        Ok(Credentials::new(
            field("AccessKeyId")?,
            field("SecretAccessKey")?,
            None,
            None,
            "access key",
        ))
    }

    /// Deletes the access key `access_key_id` of `user`.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`]).
    pub fn delete_access_key(&self, user: &str, access_key_id: &str) -> anyhow::Result<()> {
        let fields = [
            ("UserName".to_owned(), user),
            ("AccessKeyId".to_owned(), access_key_id),
        ];
        self.query("iam", "DeleteAccessKey", "2010-05-08", &fields)?;
        Ok(())
    }

    /// One call to Kinesis, such as `PutRecord`.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`]).
    pub fn kinesis(&self, operation: &str, input: &Value) -> anyhow::Result<Value> {
        self.json(
            "kinesis",
            "1.1",
            &format!("Kinesis_20131202.{operation}"),
            input,
        )
    }

    /// One call to DynamoDB, such as `DescribeTable`.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`]).
    pub fn dynamodb(&self, operation: &str, input: &Value) -> anyhow::Result<Value> {
        self.json(
            "dynamodb",
            "1.0",
            &format!("DynamoDB_20120810.{operation}"),
            input,
        )
    }

    /// One call to SQS, such as `ReceiveMessage`.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`]).
    pub fn sqs(&self, operation: &str, input: &Value) -> anyhow::Result<Value> {
        self.json("sqs", "1.0", &format!("AmazonSQS.{operation}"), input)
    }

    /// Has a queue receive what is published to a topic; the queue's URL.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`]).
    pub fn listen(&self, topic_arn: &str, queue: &str) -> anyhow::Result<String> {
        let policy = json!({
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "sns.amazonaws.com" },
                "Action": "sqs:SendMessage",
                "Resource": "*",
                "Condition": { "ArnEquals": { "aws:SourceArn": topic_arn } },
            }],
        });
        let attributes = json!({ "Policy": policy.to_string() });
        let queue = json!({ "QueueName": queue, "Attributes": attributes });
        let made = self.sqs("CreateQueue", &queue)?;
        let url = made["QueueUrl"].as_str().context("SQS named no queue")?;
        let wanted = json!({ "QueueUrl": url, "AttributeNames": ["QueueArn"] });
        let attributes = self.sqs("GetQueueAttributes", &wanted)?;
        let arn = attributes["Attributes"]["QueueArn"].as_str();
        let fields = [
            ("TopicArn".to_owned(), topic_arn),
            ("Protocol".to_owned(), "sqs"),
            ("Endpoint".to_owned(), arn.context("the queue has no ARN")?),
        ];
        self.query("sns", "Subscribe", "2010-03-31", &fields)?;
        Ok(url.to_owned())
    }

    /// The subjects and texts of the messages that came to a queue from a topic since it was asked last.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`]).
    pub fn heard(&self, queue_url: &str) -> anyhow::Result<Vec<(String, String)>> {
        let receive = json!({ "QueueUrl": queue_url, "MaxNumberOfMessages": 10 });
        let received = self.sqs("ReceiveMessage", &receive)?;
        let mut heard = Vec::new();
        for message in received["Messages"].as_array().into_iter().flatten() {
            let handle = &message["ReceiptHandle"];
            let delete = json!({ "QueueUrl": queue_url, "ReceiptHandle": handle });
            self.sqs("DeleteMessage", &delete)?;
            let body = message["Body"].as_str().unwrap_or_default();
            let body: Value = serde_json::from_str(body).context("SNS sent no JSON")?;
            let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            heard.push((text("Subject"), text("Message")));
        }
        Ok(heard)
    }

    /// Calls a Lambda function, and waits for its end.
    ///
    /// # Errors
    /// It can't be called, or fails.
    pub fn invoke(&self, function: &str) -> anyhow::Result<()> {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let answer = self.call("lambda", "POST", &path, &[], b"{}")?;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(
            !answer.contains("errorMessage"),
            "{function} fails: {answer}"
        );
        Ok(())
    }

    /// Sets one variable in the environment of a Lambda function.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`]).
    pub fn set_variable(&self, function: &str, name: &str, value: &str) -> anyhow::Result<()> {
        let path = format!("/2015-03-31/functions/{function}/configuration");
        let answer = self.call("lambda", "GET", &path, &[], b"")?;
        let mut configuration: Value = serde_json::from_slice(&answer)?;
        let mut environment = configuration["Environment"].take();
        environment["Variables"][name] = value.into();
        let change = json!({ "Environment": { "Variables": environment["Variables"] } });
        let headers = [("content-type", "application/json")];
        self.call(
            "lambda",
            "PUT",
            &path,
            &headers,
            change.to_string().as_bytes(),
        )?;
        Ok(())
    }

    fn json(
        &self,
        service: &str,
        version: &str,
        target: &str,
        input: &Value,
    ) -> anyhow::Result<Value> {
        let content_type = format!("application/x-amz-json-{version}");
        let headers = [
            ("content-type", content_type.as_str()),
            ("x-amz-target", target),
        ];
        let answer = self.call(service, "POST", "/", &headers, input.to_string().as_bytes())?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).with_context(|| format!("{target} answered no JSON"))
    }

    fn query(
        &self,
        service: &str,
        action: &str,
        version: &str,
        fields: &[(String, &str)],
    ) -> anyhow::Result<Xml> {
        let mut body = format!("Action={action}&Version={version}");
        for (name, value) in fields {
            body += &format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = self.call(service, "POST", "/", &headers, body.as_bytes())?;
        String::from_utf8(answer).with_context(|| format!("{action} answered no text"))
    }

    fn call(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<Vec<u8>> {
        let url = format!("{}{path}", self.endpoint);
        let request = sign::Request {
            method,
            url: &url,
            headers,
            body,
        };
        let signature = sign::sign(request, service, REGION, &self.credentials)?;
        let mut builder = ureq::http::Request::builder().method(method).uri(&url);
        for (name, value) in headers.iter().copied().chain(signature.headers()) {
            builder = builder.header(name, value);
        }
        let mut answer = self
            .agent
            .run(builder.body(body)?)
            .with_context(|| format!("{service} at {} is out of reach", self.endpoint))?;
        let content = answer
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_vec()
            .with_context(|| format!("{service} did not finish its answer"))?;
        if answer.status().is_success() {
            return Ok(content);
        }
        Err(Refused::read(answer.status().as_u16(), &content).into())
    }
}

/// Where a stack stands.
#[derive(Clone, Debug)]
pub struct StackState {
    /// Such as `CREATE_COMPLETE`.
    pub status: String,
    /// Why, if CloudFormation said.
    pub reason: String,
    /// Output values by key.
    pub outputs: BTreeMap<String, String>,
}

impl Refused {
    /// Reads an error answer, in JSON or XML.
    fn read(status: u16, content: &[u8]) -> Self {
        let text = String::from_utf8_lossy(content);
        let (code, message) = if let Ok(json) = serde_json::from_str::<Value>(&text) {
            let message = json["message"].as_str().or(json["Message"].as_str());
            (
                json["__type"].as_str().map(str::to_owned),
                message.map(str::to_owned),
            )
        } else if let Ok(document) = Document::parse(&text) {
            (
                find_text(&document, "Code"),
                find_text(&document, "Message"),
            )
        } else {
            (None, None)
        };
        let code = code.unwrap_or_else(|| format!("HTTP {status}"));
        Self {
            code: code.rsplit('#').next().unwrap_or_default().to_owned(),
            message: message.unwrap_or_else(|| text.into_owned()),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Refused {}

/// The first element called `tag`, whatever its namespace.
fn find_text(document: &Document<'_>, tag: &str) -> Option<String> {
    document
        .descendants()
        .find(|node| node.tag_name().name() == tag)
        .and_then(|node| node.text())
        .map(str::to_owned)
}
