"""Which files travel with a program, and which stay."""

from pathlib import Path

import pytest

from graflow.compile import files
from graflow.compile.errors import FilesError
from graflow.compile.files import select


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "etl"
    folder.mkdir(parents=True)
    (folder / "workflow.py").write_text("print()\n")
    return folder


def put(root: Path, *names: str, text: str = "x\n") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def left_out(root: Path, **how: tuple[str, ...]) -> dict[str, str]:
    return {left.path: left.why for left in select(root, **how).left_out}


def test_all_files_in_the_folder_and_below_travel(root: Path) -> None:
    put(root, "data/sales.csv", "helpers/__init__.py", ".config/x")
    assert select(root).files == (
        ".config/x",
        "data/sales.csv",
        "helpers/__init__.py",
        "workflow.py",
    )


def test_caches_environments_and_version_control_stay_without_a_word(root: Path) -> None:
    put(root, ".git/HEAD", "__pycache__/a.pyc", ".venv/x", "node_modules/y", "b.pyc", ".DS_Store")
    put(root, "env/pyvenv.cfg", "env/lib/z.py")
    assert select(root).files == ("workflow.py",)
    assert select(root).left_out == ()


def test_gitignore_is_read_as_git_reads_it(root: Path) -> None:
    put(root, "a.log", "keep.log", "out/b", "sub/c.log", "sub/d.tmp", "sub/e.txt")
    put(root, ".gitignore", text="*.log\n!keep.log\nout/\n")
    put(root, "sub/.gitignore", text="*.tmp\n!c.log\n")
    assert select(root).files == ("keep.log", "sub/c.log", "sub/e.txt", "workflow.py")


def test_rules_above_the_folder_hold_up_to_the_root_of_the_repository(root: Path) -> None:
    put(root, "a.big", "b.huge", "c.txt")
    put(root.parent, ".git/HEAD")
    put(root.parent, ".gitignore", text="*.big\n")
    put(root.parent.parent, ".gitignore", text="*.huge\n")
    assert select(root).files == ("b.huge", "c.txt", "workflow.py")


def test_without_a_repository_rules_above_the_folder_say_nothing(root: Path) -> None:
    put(root.parent, ".gitignore", text="*.txt\n")
    put(root, "c.txt")
    assert "c.txt" in select(root).files


def test_a_program_in_an_ignored_folder_keeps_its_files(root: Path) -> None:
    put(root, "c.txt")
    put(root.parent, ".git/HEAD")
    put(root.parent, ".gitignore", text="etl/\n")
    assert select(root).files == ("c.txt", "workflow.py")


def test_graflowignore_has_the_last_word(root: Path) -> None:
    put(root, "a.bin", "b.bin")
    put(root, ".gitignore", text="a.bin\n")
    put(root, ".graflowignore", text="!a.bin\nb.bin\n")
    assert select(root).files == ("a.bin", "workflow.py")


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".env.production",
        "server.pem",
        "TLS.KEY",
        "id_rsa",
        "id_ed25519.pub",
        "credentials.json",
        "kubeconfig",
        "sub/.aws/config",
        ".ssh/known_hosts",
        ".kube/config",
    ],
)
def test_what_looks_like_a_secret_stays_and_is_named(root: Path, name: str) -> None:
    put(root, name)
    assert select(root).files == ("workflow.py",)
    (path,) = left_out(root)
    assert name.startswith(path)
    assert f"--include {path}" in left_out(root)[path]


def test_everyday_names_are_no_secrets(root: Path) -> None:
    put(root, "id_mapping.csv", "id_utils.py", "keys.json", "environment.yml", "monkey.txt")
    assert left_out(root) == {}


def test_a_private_key_of_any_name_stays(root: Path) -> None:
    put(root, "deploy", text="-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n")
    assert "private key" in left_out(root)["deploy"]


def test_a_secret_that_is_named_travels(root: Path) -> None:
    put(root, ".env", "b.pem")
    assert select(root, include=[".env"]).files == (".env", "workflow.py")
    assert set(left_out(root, include=(".env",))) == {"b.pem"}


def test_include_takes_folders_and_patterns_that_rules_leave_out(root: Path) -> None:
    put(root, "build/a.txt", "build/sub/b.txt", "c.log")
    put(root, ".gitignore", text="build/\n*.log\n")
    assert select(root, include=["build", "*.log"]).files == (
        "build/a.txt",
        "build/sub/b.txt",
        "c.log",
        "workflow.py",
    )


@pytest.mark.parametrize(("pattern", "words"), [("nope*", "no file"), ("../x", "outside")])
def test_an_include_that_means_nothing_is_an_error(root: Path, pattern: str, words: str) -> None:
    put(root.parent, "x")
    with pytest.raises(FilesError, match=f"{words}.*{root}"):
        select(root, include=[pattern])


def test_links_out_of_the_folder_are_not_followed(root: Path) -> None:
    put(root.parent, "elsewhere/secret.txt", "file.txt")
    (root / "folder").symlink_to(root.parent / "elsewhere")
    (root / "file").symlink_to(root.parent / "file.txt")
    assert select(root).files == ("workflow.py",)
    assert left_out(root) == dict.fromkeys(("folder", "file"), "a link out of the program's folder")


def test_links_within_the_folder_travel_as_what_they_lead_to(root: Path) -> None:
    put(root, "data/2024/x.csv")
    (root / "latest").symlink_to(root / "data" / "2024")
    assert "latest/x.csv" in select(root).files


def test_a_link_in_a_circle_ends(root: Path) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "up").symlink_to(root)
    assert select(root).files == ("workflow.py",)
    assert "that it is in" in left_out(root)["sub/up"]


def test_a_link_with_an_innocent_name_to_a_secret_stays(root: Path) -> None:
    put(root, ".env")
    (root / "settings").symlink_to(root / ".env")
    assert set(left_out(root)) == {".env", "settings"}


def test_a_link_to_nowhere_is_passed_over(root: Path) -> None:
    (root / "gone").symlink_to(root / "nothing")
    assert select(root).files == ("workflow.py",)


def test_no_files_travel_from_a_home_directory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root))
    put(root, "diary.txt")
    selection = select(root)
    assert selection.files == ()
    assert "home directory" in selection.left_out[0].why
    assert "a folder of its own" in selection.left_out[0].why
    assert select(root, include=["diary.txt"]).files == ("diary.txt",)


def test_no_files_travel_from_the_root_of_the_file_system() -> None:
    assert select(Path("/")).files == ()
    assert "root of the file system" in select(Path("/")).left_out[0].why


def test_too_many_files_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 3)
    put(root, "a", "b", "c")
    with pytest.raises(FilesError, match=r"more than 3 files .*\.graflowignore.*--no-files"):
        select(root)
