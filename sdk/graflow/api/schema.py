"""From a pydantic model to the structural schema that a CustomResourceDefinition needs.

What JSON Schema has and Kubernetes has not is rewritten where the meaning stays, and refused
otherwise; the rules are those of `types_jsonschema.go` of apiextensions v1. Beyond them, every
field needs a description, and every list, map and string a bound, without which the API server
cannot estimate the cost of validation rules.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from graflow.api.model import PRESERVE, RULES

Schema: TypeAlias = dict[str, Any]

_COPIED = (
    "type",
    "enum",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    PRESERVE,
    RULES,
)
_REWRITTEN = ("title", "description", "default", "properties", "items", "additionalProperties")
_LOOKAROUND = ("(?=", "(?!", "(?<")


class SchemaError(Exception):
    """A model says something that no structural schema can; the message names the field."""


def structural(model: type[BaseModel], *, given: Mapping[str, Schema] | None = None) -> Schema:
    """Return the structural schema of a model, with the properties `given` as they are.

    Raises:
        SchemaError: If a field cannot be expressed, or lacks a description or a bound.
    """
    whole = model.model_json_schema(by_alias=True)
    defs = whole.get("$defs", {})
    source = defs.get(model.__name__, whole)  # a model that contains itself is in its own defs
    given = given or {}
    listed = source["properties"]
    own = {name: value for name, value in listed.items() if name not in given}
    schema = _convert(
        source | {"properties": own}, defs, path=model.__name__, inside=(model.__name__,)
    )
    schema["properties"] = {name: given.get(name) or schema["properties"][name] for name in listed}
    return schema


def _convert(
    node: Schema, defs: Mapping[str, Schema], *, path: str, inside: tuple[str, ...]
) -> Schema:
    """Rewrite one node and what is below it; `inside` are the models that it is part of."""
    node, inside = _resolve(node, defs, path=path, inside=inside)
    unknown = set(node) - {*_COPIED, *_REWRITTEN, "$defs"}
    if unknown:
        raise SchemaError(f"{path}: {min(unknown)!r} is not in Kubernetes' schemas")
    out: Schema = {}
    if text := _description(node):
        out["description"] = text
    out |= {key: node[key] for key in _COPIED if key in node}
    kind = node.get("type")
    if kind is None or node.get("additionalProperties") is True:
        out[PRESERVE] = True
    if kind == "object":
        out |= _members(node, defs, path=path, inside=inside)
    elif kind == "array":
        if "items" not in node:
            raise SchemaError(f"{path}: a list of what? Tuples of fixed form cannot be expressed")
        out["items"] = _convert(node["items"], defs, path=f"{path}[]", inside=inside)
        out["x-kubernetes-list-type"] = "atomic"
    elif kind == "integer":
        out["format"] = "int64"
    _check_bounds(out, path)
    return out


def _resolve(
    node: Schema, defs: Mapping[str, Schema], *, path: str, inside: tuple[str, ...]
) -> tuple[Schema, tuple[str, ...]]:
    """Replace references, optional types and constants; what stands beside them wins."""
    node = dict(node)
    while True:
        if "const" in node:
            node["enum"] = [node.pop("const")]
        elif "$ref" in node:
            name = node.pop("$ref").rsplit("/", 1)[-1]
            if name in inside:
                raise SchemaError(f"{path}: {name} contains itself, which schemas cannot express")
            inside = (*inside, name)
            node = {**defs[name], **node}
        elif "anyOf" in node:
            arms = [arm for arm in node.pop("anyOf") if arm != {"type": "null"}]
            if len(arms) != 1:
                raise SchemaError(
                    f"{path}: a choice of types is not structural;"
                    " use one optional field for each, and a rule"
                )
            node = {**arms[0], **node}
        else:
            return node, inside


def _members(
    node: Schema, defs: Mapping[str, Schema], *, path: str, inside: tuple[str, ...]
) -> Schema:
    """Return what an object contains: named properties, or values of any name."""
    if "properties" in node:
        properties = {
            name: _convert(value, defs, path=f"{path}.{name}", inside=inside)
            for name, value in node["properties"].items()
        }
        for name, value in properties.items():
            if "description" not in value:
                raise SchemaError(f"{path}.{name}: has no description; write a docstring below it")
        return {"properties": properties}
    values = node.get("additionalProperties")
    if isinstance(values, dict):
        return {
            "additionalProperties": _convert(values, defs, path=f"{path}.*", inside=inside),
        }
    return {}


def _description(node: Schema) -> str:
    """Return the docstring as one paragraph, with the default, which the schema itself leaves out.

    A default in the schema would be written into every stored object, and changing it later would
    change what existing objects mean.
    """
    text = " ".join(str(node.get("description", "")).split())
    default = node.get("default")
    if isinstance(default, dict):  # an object whose fields have no defaults has none either
        default = {name: value for name, value in default.items() if value is not None}
    if text and default not in (None, "", [], {}):
        shown = str(default).lower() if isinstance(default, bool) else f"{default}"
        text = f"{text} Default: {shown.removesuffix('.0')}."
    return text


def _check_bounds(node: Schema, path: str) -> None:
    """Refuse what the API server would refuse, or could not bound."""
    match node.get("type"):
        case "string" if not {"enum", "maxLength"} & set(node):
            raise SchemaError(f"{path}: a string without max_length")
        case "array" if "maxItems" not in node:
            raise SchemaError(f"{path}: a list without max_length")
        case "object" if "additionalProperties" in node and "maxProperties" not in node:
            raise SchemaError(f"{path}: a map without max_length")
        case _:
            pass
    if any(form in node.get("pattern", "") for form in _LOOKAROUND):
        raise SchemaError(f"{path}: the API server's patterns know no look-around")
