"""Deploys edge/dist/iot.yaml into moto, a second opinion on templates (PyPI: moto[cloudformation,iot,iam], boto3), and looks
at what came of it: a role that IoT alone may assume and that may only put, and a policy that leads to it."""

import ast
import os
import pathlib

import boto3
import moto

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="eu-west-1")


def document(text):
    """A policy, which moto gives as Python writes it, not as JSON."""
    return text if isinstance(text, dict) else ast.literal_eval(text)


template = pathlib.Path(__file__).parents[2] / "dist" / "iot.yaml"

with moto.mock_aws():
    cloudformation = boto3.client("cloudformation")
    parameters = [{"ParameterKey": "KinesisStreamName", "ParameterValue": "posts"}]
    cloudformation.create_stack(StackName="fleet", TemplateBody=template.read_text(), Parameters=parameters)
    stack = cloudformation.describe_stacks(StackName="fleet")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack

    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    iot = boto3.client("iot")
    alias = iot.describe_role_alias(roleAlias=outputs["RoleAlias"])["roleAliasDescription"]
    policy = document(iot.get_policy(policyName=outputs["PolicyName"])["policyDocument"])
    assert policy["Statement"][0]["Action"] == "iot:AssumeRoleWithCertificate", policy
    assert policy["Statement"][0]["Resource"] == alias["roleAliasArn"], policy

    iam = boto3.client("iam")
    role = next(role for role in iam.list_roles()["Roles"] if role["Arn"] == alias["roleArn"])
    trust = role["AssumeRolePolicyDocument"]["Statement"]
    assert [statement["Principal"] for statement in trust] == [{"Service": "credentials.iot.amazonaws.com"}], trust
    account = boto3.client("sts").get_caller_identity()["Account"]
    assert trust[0]["Condition"] == {"StringEquals": {"aws:SourceAccount": account}}, trust
    granted = document(iam.get_role_policy(RoleName=role["RoleName"], PolicyName="put-into-the-stream")["PolicyDocument"])
    actions = [action for statement in granted["Statement"] for action in statement["Action"]]
    assert sorted(actions) == ["kinesis:PutRecord", "kinesis:PutRecords"], granted
    assert all(statement["Resource"].endswith(":stream/posts") for statement in granted["Statement"]), granted

print("edge/dist/iot.yaml: deployed, role and policy are as they should be")
