"""Programs built from Go modules, once, into the cache."""

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from devcluster import cache
from devcluster.console import duration, say
from devcluster.errors import ClusterError
from devcluster.processes import run_visibly

SOURCES = Path(__file__).resolve().parents[1]
KUBERNETES = "1.36.3"
_TOOLCHAIN = "1.26.8"
_OLDEST_GO = (1, 21)  # fetches the toolchain that a go.mod asks for by itself


@dataclass(frozen=True, slots=True)
class Program:
    """One or more programs that are built together.

    `source` is a folder beside this package, or empty for a published module;
    `minutes` is how long a first build takes on two cores.
    """

    name: str
    binaries: tuple[str, ...]
    minutes: float
    source: str = ""
    packages: tuple[str, ...] = ()
    version: str = ""
    link: str = "-s -w"

    @property
    def folder(self) -> Path:
        """Where in the cache the programs are, or will be."""
        if not self.source:
            return cache.root() / f"{self.name}@{self.version}"
        files = [SOURCES / self.source / name for name in ("go.mod", "go.sum", "main.go")]
        contents = [file.read_bytes() for file in files if file.exists()]
        return cache.root() / f"{self.name}-{cache.digest(self.link, *contents)}"

    @property
    def built(self) -> bool:
        """Whether nothing is left to do."""
        return self.folder.is_dir()

    def command(self, go: str, target: Path) -> list[str]:
        """Return the build's command line; packages appear on stderr as they compile."""
        flags = ["-v", "-trimpath", "-ldflags", self.link]
        if self.source:
            return [go, "build", *flags, "-o", str(target / self.binaries[0]), "."]
        return [go, "install", *flags, *(f"{path}@{self.version}" for path in self.packages)]


def _stamps() -> str:
    """Return the linker's flags without which clients see version 0.0."""
    major, minor, _ = KUBERNETES.split(".")
    values = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    # Two of them: what a component says it is, and what its requests say.
    places = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {place}.{k}={v}" for place in places for k, v in values.items())


KUBE = Program("kube", ("kube",), 9, source="kube", link=f"-s -w {_stamps()}")
PAUSE = Program("pause", ("pause",), 0.1, source="pause")
CONTAINERD = Program(
    "containerd",
    ("containerd", "containerd-shim-runc-v2", "ctr"),
    2,
    version="v2.2.9",
    packages=tuple(
        f"github.com/containerd/containerd/v2/cmd/{name}"
        for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    ),
    link="-s -w -X github.com/containerd/containerd/v2/version.Version=v2.2.9",
)
VERSITYGW = Program(
    "versitygw",
    ("versitygw",),
    2,
    version="v1.8.0",
    packages=("github.com/versity/versitygw/cmd/versitygw",),
)
HELM = Program("helm", ("helm",), 4, version="v4.3.1", packages=("helm.sh/helm/v4/cmd/helm",))
KWOK = Program("kwok", ("kwok",), 2.5, version="v0.8.0", packages=("sigs.k8s.io/kwok/cmd/kwok",))
PROGRAMS = (KUBE, PAUSE, CONTAINERD, VERSITYGW, HELM)
"""What a cluster is made of; kwok is built when fake nodes are asked for."""


def build_missing(programs: tuple[Program, ...] = PROGRAMS) -> None:
    """Build what the cache does not have yet, and show how far it is."""
    missing = [program for program in programs if not program.built]
    if not missing:
        return
    names = ", ".join(program.name for program in missing)
    minutes = sum(program.minutes for program in missing)
    say(f"building {names} into {cache.root()}: about {minutes:.0f} min on 2 cores, once")
    with cache.locked("programs"):
        go = _go()
        for program in missing:
            if not program.built:
                _build(program, go)


def _build(program: Program, go: str) -> None:
    started = time.monotonic()
    log = cache.root() / f"{program.folder.name}.log"
    with cache.filling(program.folder) as target:
        environment = {"CGO_ENABLED": "0", "GOBIN": str(target)}
        folder = SOURCES / program.source if program.source else target
        # One line in the log is one package compiled.
        run_visibly(program.name, program.command(go, target), log, environment, folder)
        absent = [name for name in program.binaries if not (target / name).exists()]
        if absent:
            raise ClusterError(f"the build of {program.name} made no {absent[0]}; see {log}")
    say(f"{program.name}: built in {duration(time.monotonic() - started)}")


def _go() -> str:
    """Return a Go that can build all this: the one on PATH, else one from the module proxy."""
    found = shutil.which("go")
    if found and _version(found) >= _OLDEST_GO:
        return found
    folder = cache.root() / f"go-{_TOOLCHAIN}"
    if not folder.is_dir():
        say(f"fetching Go {_TOOLCHAIN}, for {found or 'go'} is missing or older than 1.21")
        _fetch_toolchain(found or _debian_go(), folder)
    return str(folder / "bin" / "go")


def _version(go: str) -> tuple[int, ...]:
    # Elsewhere than in a module's folder, lest it fetches that module's toolchain.
    text = subprocess.run([go, "version"], cwd="/", check=True, capture_output=True, text=True)
    found = re.search(r"go(\d+)\.(\d+)", text.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _debian_go() -> str:
    from devcluster import debian  # noqa: PLC0415  only on machines without Go

    debian.install({"/usr/bin/go": "golang-go"})
    return "/usr/bin/go"


def _fetch_toolchain(go: str, folder: Path) -> None:
    """Unpack a newer Go, which is a module like any other, checksum database and all."""
    machine = subprocess.run(
        [go, "env", "GOOS", "GOARCH"], check=True, capture_output=True, text=True
    )
    module = f"golang.org/toolchain@v0.0.1-go{_TOOLCHAIN}.{'-'.join(machine.stdout.split())}"
    modules = folder.with_name("go-modules")
    environment = {**os.environ, "GOMODCACHE": str(modules), "GOFLAGS": "-modcacherw"}
    subprocess.run([go, "mod", "download", module], cwd="/", env=environment, check=True)
    with cache.filling(folder) as target:
        shutil.copytree(modules / module, target, dirs_exist_ok=True)
        # Modules carry no permission to execute.
        for program in (*target.glob("bin/*"), *target.glob("pkg/tool/*/*")):
            program.chmod(0o755)
    cache.remove(modules)
