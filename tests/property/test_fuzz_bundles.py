"""Bundles as anybody may upload them: no zip, a damaged one, one with a lying manifest."""

import base64
import hashlib
import io
import json
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graflow.api.bundle import BundleDamagedError, read_json
from graflow_operator import bundles
from graflow_operator.bundles import BundleUnusableError
from graflow_runner.bundle import Bundle
from graflow_runner.errors import BundleError
from support.fuzz import json_values, mutated

MANIFEST = {
    "format": 2,
    "python": "3.11",
    "cloudpickle": "3.1.2",
    "program": "p.py",
    "root": "files",
    "functions": {"1" * 64: ["a", "b"]},
    "arguments": {"a": [0, 3]},
    "services": "1" * 64,
    "defaults": {"maxSteps": 3},
}
PLAN = {"tasks": [{"name": "a", "function": "a"}]}


def zipped(manifest=MANIFEST, plan=PLAN, files=(), method=zipfile.ZIP_DEFLATED):
    """Return a bundle; a text stands for itself, all else for its JSON."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in (("manifest.json", manifest), ("plan.json", plan), *files):
            archive.writestr(name, content if isinstance(content, str) else json.dumps(content))
    return buffer.getvalue()


@st.composite
def damaged(draw):
    """A bundle with some bytes changed, cut off or put in, often in its directory."""
    data = bytearray(zipped())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                del data[at:]
                data.extend(draw(st.binary(min_size=1, max_size=3)))
            case 1:
                data[at:at] = draw(st.binary(max_size=5))
            case _:
                data[at] = draw(st.integers(0, 255))
    return bytes(data)


def opens(data):
    """Let operator and runner read a bundle whose hash is right."""
    sha256 = hashlib.sha256(data).hexdigest()
    resource = {"metadata": {"name": "code-x"}, "spec": {"zip": base64.b64encode(data).decode()}}
    said = []
    try:
        bundles.opened(resource, sha256).plan()
    except BundleUnusableError as error:
        said.append(error.error.message)
    for name in ("manifest.json", "plan.json"):
        try:
            read_json(data, name)
        except BundleDamagedError as error:
            said.append(str(error))
    try:
        reads(Bundle(data, sha256=sha256))
    except BundleError as error:
        said.append(str(error))
    assert all(said)
    return said


def reads(bundle):
    for read in (
        lambda: bundle.program,
        lambda: bundle.defaults,
        bundle.plan,
        bundle.services,
        lambda: bundle.sha256_of("a"),
        lambda: bundle.form("1" * 64, "a"),
    ):
        with suppress(BundleError):
            read()


def test_a_whole_bundle_is_read():
    assert "1" * 64 in str(opens(zipped())) or opens(zipped()) == []


@given(st.binary(max_size=60))
def test_bytes_that_are_no_zip_are_refused_in_words(data):
    assert opens(data)


@given(damaged())
def test_a_damaged_zip_is_refused_in_words_or_read(data):
    opens(data)


@given(mutated(MANIFEST) | json_values, mutated(PLAN) | json_values)
def test_a_lying_manifest_is_refused_in_words_or_believed(manifest, plan):
    opens(zipped(manifest, plan))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "NaN", "", "\x00"])
def test_a_manifest_that_cannot_be_read_is_refused_in_words(text):
    assert opens(zipped(text, text))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_a_plan_that_is_nested_too_deeply_is_refused_in_words(text):
    assert opens(zipped(plan=text))


@given(
    st.text(min_size=1, max_size=12).filter(lambda name: name[0] != "\0")
    | st.sampled_from(["../x", "/x", "a/../../x", "files/" * 2])
)
def test_nothing_is_written_outside_the_folder_of_a_bundle(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("bundle")
    data = zipped(files=[(f"files/{name}", "x"), (name, "x")])
    with suppress(BundleError):
        Bundle(data, sha256=hashlib.sha256(data).hexdigest()).unpack(folder / "in")
    assert [path.name for path in folder.iterdir()] in ([], ["in"])
