"""A CloudFormation template with its conditions decided, as a stack of it would be."""

import json
import pathlib
import re

from cfnlint.decode import cfn_yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]


def load(path):
    return json.loads(json.dumps(cfn_yaml.load(str(path))))


class Rendering:
    """A template with the values `chosen` for its parameters; the others have their defaults."""

    def __init__(self, template, chosen):
        self.conditions = template.get("Conditions", {})
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
