"""Resolves template.yaml for every combination of its conditions, and holds each to cfn-lint; no resource may name one that is left out.
Then looks at what an update may not change: a stream or a table of posts that is replaced loses what is in it.

With another template as its argument, the one a stack was made from, also that an update from it replaces neither."""

import itertools
import json
import pathlib
import subprocess
import sys

from rendering import ROOT, Rendering, load

FOLDER = ROOT / "target" / "templates" / "combinations"

# What decides on the conditions: each of these either way.
CHOICES = {
    "BoardReports": ["true", "false"],
    "AlarmEmail": ["", "person@example.com"],
    "KmsKeyArn": ["", "arn:aws:kms:eu-west-1:123456789012:key/1234"],
    "StreamMode": ["PROVISIONED", "ON_DEMAND"],
    "TimeIndex": ["yes", "no"],
}

# Properties whose change makes CloudFormation replace the resource (CloudFormation's reference: "Update requires: Replacement").
REPLACING = {
    "AWS::Kinesis::Stream": ["Name"],
    "AWS::DynamoDB::Table": ["TableName", "KeySchema", "LocalSecondaryIndexes", "ImportSourceSpecification"],
}
KEPT = {
    "Stream": {"Type": "AWS::Kinesis::Stream"},
    "Table": {
        "Type": "AWS::DynamoDB::Table",
        "TableName": {"Fn::Sub": "${AWS::StackName}-EventData"},
        "KeySchema": [{"AttributeName": "Username", "KeyType": "HASH"}, {"AttributeName": "Id", "KeyType": "RANGE"}],
    },
}


def identity(resource):
    """What makes it the resource it is."""
    properties = resource["Properties"]
    names = REPLACING[resource["Type"]]
    return {"Type": resource["Type"], **{name: properties[name] for name in names if name in properties}}


class Combination(Rendering):
    def check(self):
        known = set(self.template["Resources"]) | set(self.template["Parameters"])
        names = self.named(self.template["Resources"]) | self.named(self.template["Outputs"])
        dangling = {name for name in names - known if not name.startswith("AWS::")}
        assert not dangling, f"named, but left out: {dangling}"
        body, variables = self.template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
        boards = variables["Boards"]
        body = body.replace("${Boards}", boards if isinstance(boards, str) else boards["Fn::Sub"])
        json.loads(body)
        for name, expected in KEPT.items():
            found = identity(self.template["Resources"][name])
            assert found == expected, f"an update would replace {name}: {found}"


template = load(ROOT / "template.yaml")
FOLDER.mkdir(parents=True, exist_ok=True)
files = []
for n, values in enumerate(itertools.product(*CHOICES.values())):
    combination = Combination(template, dict(zip(CHOICES, values)))
    combination.check()
    files.append(FOLDER / f"{n}.json")
    files[-1].write_text(json.dumps(combination.template))

# What is left out leaves parameters and conditions without a use, which the whole template is not warned of.
cfn_lint = str(pathlib.Path(sys.executable).with_name("cfn-lint"))
lint = [cfn_lint, "--ignore-checks", "W2001", "W8001", "--regions", "eu-west-1", "--template", *map(str, files)]
subprocess.run(lint, check=True)

for path in sys.argv[1:]:
    before = load(path)["Resources"]
    for name in KEPT:
        old, new = identity(before[name]), identity(template["Resources"][name])
        assert old == new, f"an update from {path} replaces {name}: {old} becomes {new}"
    gone = {name for name in before if name not in template["Resources"]}
    assert not gone, f"an update from {path} deletes {gone}"

print(f"template.yaml: {len(files)} combinations of its conditions are clean, and none replaces {' or '.join(KEPT)}")
