"""The generated definitions, and the files that hold them."""

from pathlib import Path

import pytest
import yaml

from graflow.api import crd, rules
from graflow.api.workflow import WorkflowSpec

ROOT = Path(__file__).parents[3]
CRDS = [
    crd.workflow_crd(),
    crd.code_bundle_crd(),
    crd.runner_profile_crd(),
    crd.feedback_request_crd(),
]


def nodes(schema, path=""):
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def schema_of(definition):
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


@pytest.mark.parametrize("path", crd.outputs(), ids=str)
def test_the_files_in_the_repository_are_what_the_models_say(path):
    assert (ROOT / path).read_text() == crd.outputs()[path], "run `make crds`"


@pytest.mark.parametrize("definition", CRDS, ids=lambda d: d["spec"]["names"]["kind"])
def test_every_field_of_ours_has_a_description(definition):
    given = {".apiVersion", ".kind", ".metadata"}
    silent = [
        path
        for path, node in nodes(schema_of(definition))
        if "description" not in node and not path.endswith("[]") and path not in given
    ]
    assert silent == []


@pytest.mark.parametrize("definition", CRDS, ids=lambda d: d["spec"]["names"]["kind"])
def test_a_definition_fits_into_256_kib(definition):
    assert len(yaml.safe_dump(definition)) < crd.MAX_BYTES


def test_every_field_of_a_spec_is_either_fixed_or_changeable():
    fields = {field.alias for field in WorkflowSpec.model_fields.values()}
    assert fields == {*rules.FIXED, *rules.CHANGEABLE}


def test_what_is_stale_is_named_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["crd", "--check", "--root", str(tmp_path)])
    assert crd.main() == 1
    assert (
        "crds/workflows.graflow.dev.yaml is out of date; run `make crds`" in capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_is_up_to_date(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["crd", "--root", str(tmp_path)])
    assert crd.main() == 0
    monkeypatch.setattr("sys.argv", ["crd", "--check", "--root", str(tmp_path)])
    assert crd.main() == 0


def fields(schema):
    """Yield the names of all fields of a schema, in lower case."""
    for name, inner in schema.get("properties", {}).items():
        yield name.lower()
        yield from fields(inner)
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from fields(schema[part])


@pytest.mark.parametrize("definition", CRDS, ids=lambda d: d["spec"]["names"]["kind"])
def test_no_field_of_a_spec_says_where_values_are_kept(definition):
    spec = schema_of(definition)["properties"]["spec"]
    named = {*fields(spec)}
    forbidden = ("store", "bucket", "endpoint", "region", "prefix", "credential", "url")
    assert not [name for name in named for word in forbidden if word in name]
