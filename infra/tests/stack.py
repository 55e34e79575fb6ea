"""The template as CloudFormation gets it: read, and transformed by SAM."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from cfnlint.decode import cfn_yaml
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

INFRA = Path(__file__).resolve().parent.parent
ROOT = INFRA.parent
TEMPLATE = INFRA / "template.yaml"


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


def source() -> dict[str, Any]:
    """The template as it is written."""
    return yaml_parse(TEMPLATE.read_text())


def marked() -> dict[str, Any]:
    """The same, whose nodes know their lines."""
    return cfn_yaml.load(str(TEMPLATE))


@cache
def transformed() -> dict[str, Any]:
    """The template after SAM's transform."""
    template = source()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # What `sam package` does.
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    return transform(template, {}, _NoManagedPolicies())


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """The properties of all resources of a type, by their logical ids."""
    return {
        name: resource.get("Properties", {})
        for name, resource in transformed()["Resources"].items()
        if resource["Type"] == kind
    }


def chosen(value: Any, true: set[str]) -> Any:
    """A value with its `Fn::If`s decided: these conditions are true, all others false."""
    if isinstance(value, list):
        items = (chosen(item, true) for item in value)
        return [item for item in items if item != NO_VALUE]
    if not isinstance(value, dict):
        return value
    if list(value) == ["Fn::If"]:
        condition, then, otherwise = value["Fn::If"]
        return chosen(then if condition in true else otherwise, true)
    members = {name: chosen(member, true) for name, member in value.items()}
    return {name: member for name, member in members.items() if member != NO_VALUE}


NO_VALUE = {"Ref": "AWS::NoValue"}


def target(value: Any) -> str:
    """The logical id that a `Ref` or a `Fn::GetAtt` names."""
    match value:
        case {"Ref": name} | {"Fn::GetAtt": [name, *_]}:
            return name
        case {"Fn::GetAtt": str(path)}:
            return path.split(".")[0]
    raise AssertionError(f"{value} names no resource")


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    """A policy's statements, those of the optional key too."""
    return chosen(policy["Statement"], {"HasKey"})
