"""The operator's and the runner's image, from their Dockerfiles."""

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "cluster"))

from devcluster import debian, images, layout, node, owner, up
from devcluster.console import answer, complain, say
from devcluster.errors import ClusterError

_HELP = """\
Builds operator/Dockerfile and runner-image/Dockerfile with buildah, unless nothing has
changed since, and hands them to the cluster of this checkout. For a cluster that KUBECONFIG
names, `load` builds nothing and says how.

  python3 tools/images.py load                       # both, into the cluster
  python3 tools/images.py build runner               # one, as an archive in the cache
  python3 tools/images.py build --base python:3.12-slim --runner-image registry.example/r:1

Without --base the images stand on a small Debian that debootstrap makes on this machine.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="images.py", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("build", "load"))
    parser.add_argument("image", nargs="*", help="operator, runner; none means both")
    parser.add_argument("--base", default="", metavar="IMAGE", help="what to build on")
    for image in (images.OPERATOR, images.RUNNER):
        parser.add_argument(
            f"--{image.short}-image",
            default=image.name,
            metavar="NAME",
            help=f"what to call the {image.short}'s image (default: %(default)s)",
        )
    return parser


def _chosen(arguments: argparse.Namespace) -> list[images.Image]:
    known = {image.short: image for image in (images.OPERATOR, images.RUNNER)}
    for short in arguments.image:
        if short not in known:
            raise ClusterError(f"there is no image {short!r}; they are {', '.join(known)}")
    if os.geteuid() != 0:
        raise ClusterError(
            "building images here needs root; elsewhere, `docker build` takes the same Dockerfiles"
        )
    return [
        dataclasses.replace(image, name=getattr(arguments, f"{short}_image"))
        for short, image in known.items()
        if short in (arguments.image or known)
    ]


def _is_anothers() -> bool:
    """Say what to do, and return True, if the cluster in use is not this checkout's."""
    named = up.foreign_kubeconfig(layout.of_this_checkout())
    if named:
        answer(f"KUBECONFIG names a cluster already, {named}: no image is built for it")
        answer("  new ones: `docker build -f operator/Dockerfile .`, the same with runner-image/,")
        answer(
            "  pushed to where its nodes find them; or archives: `python3 tools/images.py build`"
        )
    return bool(named)


def _load(archives: dict[images.Image, Path]) -> None:
    place = layout.of_this_checkout()
    owner.refuse_another(place)
    if not layout.CONTAINERD_SOCKET.exists():
        raise ClusterError("no cluster runs from this checkout; start it with `make cluster`")
    # What was loaded before goes with the cluster, so it is kept with the cluster.
    memory = place.state / "images.json"
    loaded = json.loads(memory.read_text()) if memory.exists() else {}
    for image, archive in archives.items():
        if loaded.get(image.name) != archive.name:
            node.import_image(archive)
            loaded[image.name] = archive.name
            memory.write_text(json.dumps(loaded))
        say(f"{image.name}: in the cluster")


def main() -> int:
    """Run the command; 1 says that it failed, 130 that it was interrupted."""
    arguments = _parser().parse_args()
    try:
        if arguments.command == "load" and _is_anothers():
            return 0
        chosen = _chosen(arguments)
        debian.install(debian.IMAGES)
        archives = {image: images.build(image, arguments.base) for image in chosen}
        if arguments.command == "load":
            _load(archives)
        else:
            for archive in archives.values():
                answer(str(archive))
    except ClusterError as error:
        complain(f"images.py: {error}")
        return 1
    except KeyboardInterrupt:
        complain("images.py: interrupted; nothing half-built is used")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
