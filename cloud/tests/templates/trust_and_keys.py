"""Two attacks on the cloud side, in every template and with every combination of what decides on their conditions.

Confused deputy: a service that may assume a role of this account, or call a function of it, does so for whoever asks it to. Each such
statement must name the account, or a resource of it. Lambda is the exception: the ARN of its function would be a circle, and a role can be
passed to a function of its own account only (IAM User Guide: "The confused deputy problem"; "Grant a user permissions to pass a role").

A key that is promised and not used: what stores posts or reports is encrypted with the key of KmsKeyArn, and who reads or writes there may
use that key for this and nothing else. (Kinesis, SQS and DynamoDB Developer Guides, each under "permissions to use a customer managed key".)

In the end it takes away each guard it found, one at a time, and must notice."""

import copy
import itertools

from rendering import ROOT, Rendering, load

KEY = {"Ref": "KmsKeyArn"}
ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234"

# Each template, and what decides on its conditions.
TEMPLATES = {
    "template.yaml": {
        "BoardReports": ["true", "false"], "AlarmEmail": ["", "person@example.com"], "KmsKeyArn": ["", ARN], "TimeIndex": ["yes", "no"],
    },
    "edge/dist/iot.yaml": {"KmsKeyArn": ["", ARN]},
    "docs/second-consumer.yaml": {"KmsKeyArn": ["", ARN], "Packed": ["true", "false"]},
}

# What stores posts or reports, and where it takes its key.
STORES = {
    "AWS::Kinesis::Stream": ["StreamEncryption", "KeyId"],
    "AWS::DynamoDB::Table": ["SSESpecification", "KMSMasterKeyId"],
    "AWS::SQS::Queue": ["KmsMasterKeyId"],
}
# All else, with the reason why it does without.
WITHOUT = {
    "AWS::Logs::LogGroup": "holds no post; the key's own policy would have to name CloudWatch Logs",
    "AWS::SNS::Topic": "holds no post; the key's own policy would have to name CloudWatch",
    "AWS::S3::Bucket": "another consumer's copy, under S3's own key: whoever reads it would need the stream's",
    **dict.fromkeys([
        "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Events::Rule", "AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::User",
        "AWS::IoT::Policy", "AWS::IoT::RoleAlias", "AWS::KinesisFirehose::DeliveryStream", "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function", "AWS::Lambda::Permission",
    ], "stores nothing that comes from boards"),
}

# What an action needs of the key, through the service that it names.
TABLE = {"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"}
NEEDS = {
    "kinesis:GetRecords": {"kms:Decrypt"},
    "kinesis:PutRecord": {"kms:GenerateDataKey"},
    "kinesis:PutRecords": {"kms:GenerateDataKey"},
    "sqs:SendMessage": {"kms:Decrypt", "kms:GenerateDataKey"},
    "dynamodb:BatchWriteItem": TABLE,
    "dynamodb:PutItem": TABLE,
    "dynamodb:Scan": TABLE,
    "dynamodb:UpdateItem": TABLE,
    **dict.fromkeys([
        "kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetShardIterator", "kinesis:ListShards",
        "logs:CreateLogStream", "logs:PutLogEvents", "sns:Publish",
        "s3:AbortMultipartUpload", "s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:PutObject",
    ], set()),
}


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(value):
    """Every statement of every policy in a part of a template."""
    if isinstance(value, list):
        for each in value:
            yield from statements(each)
    elif isinstance(value, dict):
        if "Effect" in value:
            yield value
        else:
            for each in value.values():
                yield from statements(each)


def conditions(statement):
    """(operator, key, values) of its conditions; all of them must hold."""
    for operator, keys in statement.get("Condition", {}).items():
        for key, value in keys.items():
            yield operator, key.lower(), listed(value)


def is_of_this_account(arn):
    """Whether an ARN in a template is that of a resource of the stack's own account."""
    return isinstance(arn, dict) and ("Fn::GetAtt" in arn or ":${AWS::AccountId}:" in str(arn.get("Fn::Sub", "")))


def names_account(statement):
    for operator, key, values in conditions(statement):
        if operator == "StringEquals" and key == "aws:sourceaccount" and values == [{"Ref": "AWS::AccountId"}]:
            return True
        if operator in ("ArnEquals", "ArnLike") and key == "aws:sourcearn" and all(map(is_of_this_account, values)):
            return True
    return False


def deputies(resources):
    """What a service could be made to do by another account."""
    for name, resource in resources.items():
        for statement in statements(resource):
            if statement["Effect"] != "Allow" or "Action" not in statement or not {"Principal", "NotPrincipal"} & set(statement):
                continue
            principal = statement.get("Principal")
            if not isinstance(principal, dict) or set(principal) != {"Service"}:
                yield f"{name} trusts others than services: {principal}"
            elif listed(principal["Service"]) != ["lambda.amazonaws.com"] and not names_account(statement):
                yield f"{name} trusts {principal['Service']} whoever it acts for: it has no aws:SourceAccount of this account"
        if resource["Type"] == "AWS::Lambda::Permission":
            properties = resource["Properties"]
            if not is_of_this_account(properties.get("SourceArn")) and properties.get("SourceAccount") != {"Ref": "AWS::AccountId"}:
                yield f"{name} lets {properties['Principal']} call a function, whoever it acts for"


def key_of(resource):
    value = resource["Properties"]
    for part in STORES[resource["Type"]]:
        value = value.get(part, {})
    return value


def unencrypted(resources, has_key):
    """What stores posts and is not encrypted with the key."""
    for name, resource in resources.items():
        if resource["Type"] in STORES:
            if (key_of(resource) == KEY) != has_key:
                yield f"{name} has the key {key_of(resource)}"
        elif resource["Type"] not in WITHOUT:
            yield f"{name}: say whether a {resource['Type']} takes the key"


def granted(resources):
    """The statements that each role and user has: its own, and those of the policies attached to it."""
    found = {name: [] for name, resource in resources.items() if resource["Type"] in ("AWS::IAM::Role", "AWS::IAM::User")}
    for name in found:
        found[name] += statements(resources[name]["Properties"].get("Policies", []))
    for resource in resources.values():
        if resource["Type"] == "AWS::IAM::Policy":
            properties = resource["Properties"]
            for holder in properties.get("Roles", []) + properties.get("Users", []):
                found[holder["Ref"]] += statements(properties["PolicyDocument"])
    return found


def misfits(resources, has_key):
    """Who may use the key for less or more than the holder's own work."""
    for name, allowed in granted(resources).items():
        needed, may = set(), set()
        for statement in allowed:
            actions = listed(statement["Action"])
            if not any(action.startswith("kms:") for action in actions):
                for action in actions:
                    if action not in NEEDS:
                        yield f"{name}: say what {action} needs of the key"
                    needed |= {(action.split(":")[0], of) for of in NEEDS.get(action, ())}
                continue
            if statement["Resource"] != KEY:
                yield f"{name} may use {statement['Resource']}, not the one key"
            through = [values for operator, key, values in conditions(statement) if (operator, key) == ("StringEquals", "kms:viaservice")]
            if len(through) != 1:
                yield f"{name} may use the key for anything"
                continue
            for via in through[0]:
                service, _, rest = via["Fn::Sub"].partition(".")
                assert rest == "${AWS::Region}.${AWS::URLSuffix}", via
                may |= {(service, action) for action in actions}
        if not has_key:
            needed = set()
        for service, action in needed - may:
            yield f"{name} lacks {action} through {service}"
        # A statement lists actions for all of its services at once; each service, and each action, must have its use.
        for index, what in enumerate(("the service", "the action")):
            for excess in {pair[index] for pair in may} - {pair[index] for pair in needed}:
                yield f"{name} may use the key by {what} {excess}, which it does not need"


def findings(resources, has_key):
    return [*deputies(resources), *unencrypted(resources, has_key), *misfits(resources, has_key)]


def plants(resources):
    """Each guard taken away, one at a time, by its name."""

    def planted(what, change, *way):
        changed = copy.deepcopy(resources)
        place = changed
        for step in way:
            place = place[step]
        change(place)
        return what, changed

    def ways(value, way=()):
        if isinstance(value, (dict, list)):
            yield way, value
            for step, each in value.items() if isinstance(value, dict) else enumerate(value):
                yield from ways(each, (*way, step))

    for way, value in ways(resources):
        where = ".".join(map(str, way))
        if isinstance(value, dict) and "Effect" in value:
            actions = listed(value["Action"])
            of_key = actions[0].startswith("kms:")
            if of_key or "Principal" in value and "Condition" in value:
                yield planted(f"{where} without its condition", lambda place: place.pop("Condition"), *way)
            if "Principal" in value:
                yield planted(f"{where} for anybody", lambda place: place.update(Principal="*"), *way)
            if of_key:
                yield planted(f"{where} for all keys", lambda place: place.update(Resource="*"), *way)
                yield planted(f"{where} for more", lambda place: place.update(Action=[*actions, "kms:CreateGrant"]), *way)
                for action in actions:
                    less = [other for other in actions if other != action]
                    if less:
                        yield planted(f"{where} without {action}", lambda place, less=less: place.update(Action=less), *way)
        elif isinstance(value, dict) and isinstance(value.get("kms:ViaService"), list):
            for n in range(len(value["kms:ViaService"])):
                yield planted(f"{where} without service {n}", lambda place, n=n: place["kms:ViaService"].pop(n), *way)
        elif isinstance(value, dict) and "aws:SourceAccount" in value:
            yield planted(f"{where} of another account", lambda place: place.update({"aws:SourceAccount": "123456789012"}), *way)
    for name, resource in resources.items():
        properties = (name, "Properties")
        if resource["Type"] == "AWS::Lambda::Permission":
            yield planted(f"{name} without its source", lambda place: place.pop("SourceArn"), *properties)
        if resource["Type"] in STORES:
            *outer, last = STORES[resource["Type"]]
            yield planted(f"{name} without the key", lambda place, last=last: place.pop(last), *properties, *outer)
        if resource["Type"] == "AWS::IAM::Policy" and "kms:" in str(resource):
            yield name + " left out", {other: each for other, each in resources.items() if other != name}


wrong, caught = [], 0
for path, choices in TEMPLATES.items():
    template = load(ROOT / path)
    for values in itertools.product(*choices.values()):
        chosen = dict(zip(choices, values))
        resources = Rendering(template, chosen).template["Resources"]
        has_key = chosen["KmsKeyArn"] != ""
        wrong += [f"{path} {chosen}: {finding}" for finding in findings(resources, has_key)]
        if has_key and not wrong:
            for what, changed in plants(resources):
                assert findings(changed, has_key), f"{path} {chosen}: not noticed: {what}"
                caught += 1
assert not wrong, "\n".join(wrong)
assert caught, "no guard was found to take away"
print(f"{', '.join(TEMPLATES)}: no service acts for another account, and a key is used as promised; {caught} guards taken away were noticed")
