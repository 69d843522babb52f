"""Prometheus and promtool, for tests of what the operator shows of itself.

Debian's package starts a service when it is installed. Only its two programs are wanted, so it is
unpacked into the cache, and links to them are put beside the other programs of this checkout.
"""

import shutil
from pathlib import Path

from devcluster import cache, debian
from devcluster.layout import Layout

PROGRAMS = ("prometheus", "promtool")


def bring(place: Layout) -> Path:
    """Return the folder with both programs; they are fetched where neither PATH nor cache has them.

    Raises:
        ClusterError: If they cannot be had.
    """
    place.bin.mkdir(parents=True, exist_ok=True)
    found = [shutil.which(program) for program in PROGRAMS]
    if not all(found):
        folder = cache.root() / "prometheus"
        with cache.locked("prometheus"):
            if not folder.exists():
                with cache.filling(folder) as empty:
                    debian.unpack("prometheus", empty)
        found = [str(folder / "usr" / "bin" / program) for program in PROGRAMS]
    for program, path in zip(PROGRAMS, found, strict=True):
        link = place.bin / program
        link.unlink(missing_ok=True)
        link.symlink_to(str(path))
    return place.bin
