"""Our images: built from their Dockerfiles by buildah, kept as archives in the cache."""

import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from devcluster import cache, layout
from devcluster.console import say
from devcluster.processes import run, run_visibly

_CONTEXT = ("LICENSE", "README.md", "pyproject.toml", "requirements.lock", ".dockerignore",
            "sdk/graflow", "operator/graflow_operator", "runner-image/graflow_runner")  # fmt: skip
_PIP = ("DEFAULT_TIMEOUT", "EXTRA_INDEX_URL", "INDEX_URL", "NO_INDEX", "RETRIES", "TRUSTED_HOST")
_CA_IN_BUILD = "/run/build-ca.pem"
_MOST_IMAGES = 300  # each instruction of a Dockerfile counts

_SUITE = "bookworm"
_PACKAGES = "python3,python3-venv,ca-certificates"
_STRIPPED = (
    "dev/*",
    "usr/share/info/*",
    "usr/share/lintian/*",
    "usr/share/locale/*",
    "usr/share/man/*",
    "var/cache/apt/*",
    "var/cache/debconf/*-old",
    "var/lib/apt/lists/*",
    "var/log/*",
)
"""What no container needs."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of ours: its short name, its Dockerfile, and the name it gets."""

    short: str
    dockerfile: str
    name: str


OPERATOR = Image("operator", "operator/Dockerfile", "localhost/graflow-operator:dev")
RUNNER = Image("runner", "runner-image/Dockerfile", "localhost/graflow-runner:dev")


def build(image: Image, base: str) -> Path:
    """Return an archive of the image, building it unless the inputs are those of before.

    Args:
        image: What to build.
        base: The image to build on; "" means a small Debian made on this machine.
    """
    inputs = _inputs(layout.of_this_checkout().checkout, image)
    contents = [part for name, content in inputs.items() for part in (name, content)]
    key = cache.digest(image.name, base or _base_key(), *contents)
    archive = cache.root() / "images" / f"{image.short}-{key}.tar"
    if archive.exists():
        say(f"{image.name}: unchanged, {_size(archive)} unpacked")
        return archive
    with cache.locked("images"):
        if not archive.exists():
            _build(image, base or _debian_base(), inputs, archive)
    return archive


def _inputs(root: Path, image: Image) -> dict[str, bytes]:
    """Return the contents of all files that make the image, by their paths.

    Read once: what is built is what the key says, also when a file is saved meanwhile.
    """
    files = {root / image.dockerfile}
    for name in _CONTEXT:
        path = root / name
        files.update(path.rglob("*") if path.is_dir() else [path])
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in sorted(files)
        if file.is_file() and "__pycache__" not in file.parts
    }


def _build(image: Image, base: str, inputs: Mapping[str, bytes], archive: Path) -> None:
    say(f"{image.name}: building {image.dockerfile} on {base}")
    log = cache.root() / f"image-{image.short}.log"
    with cache.filling(cache.root() / "context") as context:
        for name, content in inputs.items():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            (context / name).write_bytes(content)
        flags = ["--layers", "--tag", image.name, "--build-arg", f"BASE={base}", *_pip_settings()]
        command = [*_store(), "build", *flags, "--file", context / image.dockerfile, context]
        run_visibly(f"the build of {image.name}", command, log, _CHROOT)
    archive.parent.mkdir(parents=True, exist_ok=True)
    temporary = archive.with_suffix(".unfinished")
    temporary.unlink(missing_ok=True)
    # Of the two kinds of archive the one that `docker load` takes too, and that is not
    # compressed: it only travels across this machine.
    _buildah("push", "--quiet", image.name, f"docker-archive:{temporary}:{image.name}")
    for older in archive.parent.glob(f"{image.short}-*.tar"):
        older.unlink()
    temporary.rename(archive)
    _forget_old_layers()
    say(f"{image.name}: built, {_size(archive)} unpacked")


_CHROOT = {"BUILDAH_ISOLATION": "chroot"}
"""Works in containers too, where there are no namespaces to be had."""


def _store() -> list[str | Path]:
    store = cache.root() / "buildah"
    return ["buildah", "--root", store / "root", "--runroot", store / "run"]


def _buildah(*arguments: str | Path) -> str:
    return run(*_store(), *arguments, env=_CHROOT)


def _pip_settings() -> Iterator[str]:
    """Yield the flags that let pip inside the build reach what pip here reaches.

    They are arguments and mounts of the first stage: the image knows nothing of them.
    """
    for name in _PIP:
        if f"PIP_{name}" in os.environ:
            yield from ("--build-arg", f"PIP_{name}={os.environ[f'PIP_{name}']}")
    ca = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if ca:
        yield from (
            "--volume",
            f"{ca}:{_CA_IN_BUILD}:ro",
            "--build-arg",
            f"PIP_CERT={_CA_IN_BUILD}",
        )
    wheels = os.environ.get("PIP_FIND_LINKS", "")
    if Path(wheels).is_dir() and wheels:
        yield from ("--volume", f"{wheels}:{wheels}:ro", "--build-arg", f"PIP_FIND_LINKS={wheels}")


def _forget_old_layers() -> None:
    """Empty the build's store of what no image uses when it has grown."""
    images = json.loads(_buildah("images", "--all", "--json") or "[]")
    if len(images) > _MOST_IMAGES:
        _buildah("rmi", "--prune", "--force")


def _size(archive: Path) -> str:
    return f"{archive.stat().st_size / 1e6:.0f} MB"


def _base_key() -> str:
    return cache.digest(_SUITE, _PACKAGES, *_STRIPPED)


def _debian_base() -> str:
    """Return the name of a small Debian with Python in buildah's store, made if need be."""
    name = f"localhost/graflow-base:{_base_key()}"
    present = json.loads(_buildah("images", "--json") or "[]")
    if any(name in (image.get("names") or []) for image in present):
        return name
    say(f"{name}: making a small Debian with Python, about 2 min, once")
    folder = cache.root() / "base"
    with cache.filling(folder) as target:
        tree, log = target / "tree", cache.root() / "base.log"
        command: list[str | Path] = [
            "debootstrap",
            "--variant=minbase",
            f"--include={_PACKAGES}",
            _SUITE,
            tree,
        ]
        run_visibly("debootstrap", command, log, {})
        _strip(tree)
        with tarfile.open(target / "rootfs.tar", "w") as archive:
            archive.add(tree, arcname="")
        (target / "Dockerfile").write_text("FROM scratch\nADD rootfs.tar /\n")
        shutil.rmtree(tree)
        _buildah("build", "--quiet", "--tag", name, target)
    size = _size(folder / "rootfs.tar")
    cache.remove(folder)
    say(f"{name}: made, {size} unpacked")
    return name


def _strip(tree: Path) -> None:
    for pattern in _STRIPPED:
        for path in tree.glob(pattern):
            cache.remove(path)
    for path in tree.glob("usr/share/doc/*/*"):
        if path.name != "copyright":
            cache.remove(path)
