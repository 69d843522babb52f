"""What is in a code bundle."""

import base64
import hashlib
import io
import json
import os
import random
import zipfile
from pathlib import Path

import pytest

from graflow.api.bundle import CodeBundle
from graflow.compile.bundle import PYTHON, Bundle, Contents, pack
from graflow.compile.errors import BundleTooLargeError, FilesError
from graflow.compile.files import Selection, select
from graflow.compile.pickles import Pickled


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "workflow.py").write_text("print()\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sales.csv").write_text("a,b\n1,2\n")
    return tmp_path


def packed(root: Path, **pickles: bytes) -> Bundle:
    code = {task: Pickled(data) for task, data in pickles.items()}
    return pack(code, select(root), Contents("workflow.py", {"tasks": []}))


def opened(bundle: Bundle) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(bundle.data))


def test_it_holds_manifest_functions_and_files(root: Path) -> None:
    archive = opened(packed(root, extract=b"code"))
    sha256 = hashlib.sha256(b"code").hexdigest()
    assert archive.namelist() == [
        "manifest.json",
        "plan.json",
        f"functions/{sha256}.pkl",
        "files/data/sales.csv",
        "files/workflow.py",
    ]
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["format"] == 2
    assert manifest["python"] == PYTHON
    assert manifest["root"] == "files"
    assert manifest["functions"] == {sha256: ["extract"]}
    assert json.loads(archive.read("plan.json")) == {"tasks": []}
    assert archive.read(f"functions/{sha256}.pkl") == b"code"
    assert archive.read("files/data/sales.csv") == b"a,b\n1,2\n"


def test_tasks_of_the_same_code_share_it(root: Path) -> None:
    archive = opened(packed(root, a=b"code", b=b"code"))
    assert sum(name.startswith("functions/") for name in archive.namelist()) == 1
    assert list(json.loads(archive.read("manifest.json"))["functions"].values()) == [["a", "b"]]


def test_arguments_bound_to_single_tasks_are_kept_beside_the_code_that_they_share(
    root: Path,
) -> None:
    pickles = {"a": Pickled(b"code", b"x=1"), "b": Pickled(b"code"), "c": Pickled(b"code", b"x=2")}
    archive = opened(pack(pickles, select(root), Contents("workflow.py", {})))
    arguments, places = archive.read("arguments.bin"), archive.read("manifest.json")
    found = {
        name: arguments[offset : offset + size]
        for name, (offset, size) in json.loads(places)["arguments"].items()
    }
    assert found == {"a": b"x=1", "c": b"x=2"}


def test_the_same_content_gives_the_same_bytes_whenever_and_wherever(root: Path) -> None:
    first = packed(root, a=b"1")
    os.utime(root / "workflow.py", (1, 1))
    assert packed(root, a=b"1").data == first.data
    assert packed(root, a=b"2").name != first.name


def test_programs_keep_their_right_to_be_executed(root: Path) -> None:
    (root / "tool.sh").write_text("#!/bin/sh\n")
    (root / "tool.sh").chmod(0o700)
    modes = {info.filename: info.external_attr >> 16 for info in opened(packed(root)).infolist()}
    assert modes["files/tool.sh"] == 0o100755
    assert modes["files/workflow.py"] == 0o100644


def test_the_resource_is_a_code_bundle_named_by_its_content(root: Path) -> None:
    bundle = packed(root, a=b"1")
    resource = CodeBundle.model_validate(bundle.resource())
    assert resource.metadata.name == f"code-{bundle.sha256[:40]}"
    assert resource.spec.size == len(bundle.data)
    assert hashlib.sha256(base64.b64decode(resource.spec.zip)).hexdigest() == resource.spec.sha256


def test_a_bundle_that_is_too_large_names_the_largest_and_the_way_out(root: Path) -> None:
    noise = random.Random(1).randbytes(600 * 1024)
    (root / "model.bin").write_bytes(noise)
    with pytest.raises(BundleTooLargeError) as caught:
        packed(root, a=b"1")
    message = str(caught.value)
    assert "512 KiB" in message
    assert "model.bin (600 KiB)" in message
    assert ".graflowignore" in message
    assert "image" in message
    assert "--no-files" in message


def test_huge_files_are_refused_without_being_read(root: Path) -> None:
    with (root / "huge.bin").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(BundleTooLargeError, match=r"huge\.bin"):
        packed(root)


def test_large_code_is_named_with_its_task(root: Path) -> None:
    with pytest.raises(BundleTooLargeError, match="code of task 'train'"):
        packed(root, train=random.Random(1).randbytes(600 * 1024))


def test_code_that_is_too_large_without_any_file_is_not_blamed_on_files(root: Path) -> None:
    noise = {"train": Pickled(random.Random(1).randbytes(600 * 1024))}
    with pytest.raises(
        BundleTooLargeError, match=r"code of the 1 tasks.*large constants"
    ) as caught:
        pack(noise, Selection(root), Contents("workflow.py", {}))
    assert ".graflowignore" not in str(caught.value)


def test_a_file_that_is_gone_is_named(root: Path) -> None:
    with pytest.raises(FilesError, match=r"gone\.txt cannot be read"):
        pack({}, Selection(root, ("gone.txt",)), Contents("workflow.py", {}))
