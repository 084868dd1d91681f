"""Resolves template.yaml for every combination of its conditions, and holds each to cfn-lint; no resource may name one that is left out.
Then looks at what an update may not change: a stream or a table of posts that is replaced loses what is in it.

With another template as its argument, the one a stack was made from, also that an update from it replaces neither."""

import itertools
import json
import pathlib
import re
import subprocess
import sys

from cfnlint.decode import cfn_yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
FOLDER = ROOT / "target" / "templates" / "combinations"

# What decides on the conditions: each of these either way.
CHOICES = {
    "BoardReports": ["true", "false"],
    "AlarmEmail": ["", "person@example.com"],
    "KmsKeyArn": ["", "arn:aws:kms:eu-west-1:123456789012:key/1234"],
    "StreamMode": ["PROVISIONED", "ON_DEMAND"],
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


def load(path):
    return json.loads(json.dumps(cfn_yaml.load(str(path))))


def identity(resource):
    """What makes it the resource it is."""
    properties = resource["Properties"]
    names = REPLACING[resource["Type"]]
    return {"Type": resource["Type"], **{name: properties[name] for name in names if name in properties}}


class Combination:
    """The template with its conditions decided."""

    def __init__(self, template, chosen):
        self.conditions = template["Conditions"]
        defaults = {name: parameter.get("Default", "x") for name, parameter in template["Parameters"].items()}
        self.values = {**defaults, "AWS::Partition": "aws", **chosen}
        parameters = {
            name: {**parameter, "Default": chosen.get(name, parameter.get("Default", "example"))}
            for name, parameter in template["Parameters"].items()
        }
        self.template = {**template, "Parameters": parameters}
        for part in ("Resources", "Outputs"):
            kept = {name: dict(entry) for name, entry in template[part].items() if self.holds(entry.get("Condition"))}
            for entry in kept.values():
                entry.pop("Condition", None)
            self.template[part] = self.resolve(kept)

    def holds(self, condition):
        return condition is None or self.true(self.conditions[condition])

    def true(self, test):
        (function, of), = test.items()
        if function == "Condition":
            return self.holds(of)
        if function == "Fn::Equals":
            left, right = (self.values[side["Ref"]] if isinstance(side, dict) else side for side in of)
            return str(left) == str(right)
        parts = [self.true(part) for part in of]
        return {"Fn::Not": not parts[0], "Fn::And": all(parts), "Fn::Or": any(parts)}[function]

    def resolve(self, value):
        """Without its Fn::If; what is left out by AWS::NoValue is gone."""
        nothing = {"Ref": "AWS::NoValue"}
        if isinstance(value, list):
            resolved = map(self.resolve, value)
            return [each for each in resolved if each != nothing]
        if not isinstance(value, dict):
            return value
        if "Fn::If" in value:
            condition, yes, no = value["Fn::If"]
            return self.resolve(yes if self.holds(condition) else no)
        resolved = {key: self.resolve(each) for key, each in value.items()}
        return {key: each for key, each in resolved.items() if each != nothing}

    def named(self, value):
        """The names that a value refers to."""
        if isinstance(value, list):
            return set().union(*map(self.named, value)) if value else set()
        if not isinstance(value, dict):
            return set()
        names = set()
        for key, of in value.items():
            if key == "Ref":
                names.add(of)
            elif key == "Fn::GetAtt":
                names.add(of.split(".")[0] if isinstance(of, str) else of[0])
            elif key == "Fn::Sub":
                text, variables = (of, {}) if isinstance(of, str) else of
                found = {name.split(".")[0] for name in re.findall(r"\$\{([^}!]+)\}", text)}
                names |= found - set(variables) | self.named(variables)
            else:
                names |= self.named(of)
        return names

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
