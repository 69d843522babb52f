"""What the cluster changes in the machine's network, and how it is changed back."""

import json
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from devcluster.errors import ClusterError
from devcluster.layout import BRIDGE, NODE_IP, POD_RANGE
from devcluster.processes import run

_FAMILIES = ("iptables", "ip6tables")
_MARK = "graflow-cluster"
_OURS = re.compile(r"\b(KUBE-|CNI-|graflow-cluster)")
"""In a rule or chain: made by kube-proxy, the kubelet, a CNI plugin or this file."""

_WANTED = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
}
"""Kernel settings the node needs; the bridge's lets a pod reach itself through a Service."""

_TOUCHED = (
    *_WANTED,
    "kernel.keys.root_maxbytes",
    "kernel.keys.root_maxkeys",
    "kernel.panic",
    "kernel.panic_on_oops",
    "net.ipv4.conf.all.route_localnet",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
)
"""Kernel settings that change: by us, the kubelet or kube-proxy."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The machine's network as it is at one moment."""

    links: list[str]
    rules: dict[str, str]
    settings: dict[str, str]

    @staticmethod
    def taken() -> "Snapshot":
        """Return the present state."""
        return Snapshot(
            links=_links(),
            rules={family: run(f"{family}-save") for family in _FAMILIES if _usable(family)},
            settings={name: _read(name) for name in _TOUCHED if _path(name).exists()},
        )

    @staticmethod
    def load(file: Path) -> "Snapshot":
        """Return what was saved."""
        return Snapshot(**json.loads(file.read_text()))

    def save(self, file: Path) -> None:
        """Keep it for `down`."""
        file.write_text(json.dumps(asdict(self), indent=1))


def _usable(family: str) -> bool:
    # A kernel without IPv6 has no ip6tables.
    done = subprocess.run([f"{family}-save"], capture_output=True, check=False)
    return done.returncode == 0


def _links() -> list[str]:
    return [link["ifname"] for link in json.loads(run("ip", "-json", "link", "show"))]


def _path(setting: str) -> Path:
    return Path("/proc/sys", *setting.split("."))


def _read(setting: str) -> str:
    return _path(setting).read_text().strip()


def refuse_foreign_bridge() -> None:
    """Stop if another program has a bridge of the name or network that we need.

    Raises:
        ClusterError: With the link that is in the way.
    """
    for link in json.loads(run("ip", "-json", "address", "show")):
        addresses = [address.get("local", "") for address in link["addr_info"]]
        if link["ifname"] == BRIDGE or NODE_IP in addresses:
            raise ClusterError(
                f"the network link {link['ifname']} ({', '.join(addresses)}) is in the way: the "
                f"cluster needs a bridge {BRIDGE} with {NODE_IP}; stop the program that made it, "
                f"or remove it with `ip link delete {link['ifname']}`"
            )


BRIDGE_MAC = "02:00:0a:58:00:01"
"""Locally administered, from the node's address."""


def set_up() -> None:
    """Make the bridge that is the node's address, and let pods out through the machine."""
    subprocess.run(["modprobe", "-a", "br_netfilter", "overlay"], capture_output=True, check=False)
    for name, value in _WANTED.items():
        if _path(name).exists():
            _path(name).write_text(value)
    # With an address of its own: else it takes the least of its ports', which changes with every
    # pod that comes or goes, and pods that know the old one lose the node for half a minute.
    run("ip", "link", "add", BRIDGE, "address", BRIDGE_MAC, "type", "bridge")
    run("ip", "address", "add", f"{NODE_IP}/{POD_RANGE.partition('/')[2]}", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    own = ("-m", "comment", "--comment", _MARK)
    out = ("-s", POD_RANGE, "!", "-d", POD_RANGE, *own, "-j", "MASQUERADE")
    run("iptables", "-w", "-t", "nat", "-A", "POSTROUTING", *out)
    # Docker and firewalls set the policy of FORWARD to DROP.
    run("iptables", "-w", "-I", "FORWARD", "-i", BRIDGE, *own, "-j", "ACCEPT")
    run("iptables", "-w", "-I", "FORWARD", "-o", BRIDGE, *own, "-j", "ACCEPT")


def tear_down(before: Snapshot) -> None:
    """Take back all of it: links, rules, settings."""
    for name in _links_left(before):
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)
    for family, rules in before.rules.items():
        if script := removal(rules, run(f"{family}-save")):
            run(f"{family}-restore", "--noflush", "-w", stdin=script)
    for name, value in before.settings.items():
        if _read(name) != value:
            _path(name).write_text(value)


def _links_left(before: Snapshot) -> list[str]:
    ports = (
        json.loads(run("ip", "-json", "link", "show", "master", BRIDGE) or "[]")
        if (BRIDGE in _links())
        else []
    )
    ours = [BRIDGE, *(port["ifname"] for port in ports)]
    return [name for name in ours if name in _links() and name not in before.links]


def left_over(before: Snapshot) -> list[str]:
    """Return what is still there of our changes, as sentences for people."""
    found = [f"network link {name}" for name in _links_left(before)]
    for family, rules in before.rules.items():
        old = set(_lines(rules))
        new = [line for line in _lines(run(f"{family}-save")) if line not in old]
        found += [f"{family} rule {line}" for line in new if _OURS.search(line)]
    found += [
        f"kernel setting {name} = {_read(name)}, was {value}"
        for name, value in before.settings.items()
        if _read(name) != value
    ]
    return found


def _lines(saved: str) -> list[str]:
    """Return the rules and chains of a dump, without counters and comments."""
    lines = (re.sub(r" \[\d+:\d+\]$", "", line) for line in saved.splitlines())
    return [line for line in lines if not line.startswith("#")]


def removal(before: str, now: str) -> str:
    r"""Return what to feed to `iptables-restore --noflush` to go back, or "" for nothing.

    Only rules and chains that this cluster's parts make are removed: other programs
    may have changed theirs meanwhile.

    >>> print(removal("*nat\nCOMMIT", '''*nat
    ... :POSTROUTING ACCEPT [0:0]
    ... :KUBE-SVC - [0:0]
    ... -A POSTROUTING -j KUBE-SVC
    ... -A POSTROUTING -j DOCKER
    ... -A KUBE-SVC -j RETURN
    ... COMMIT'''))
    *nat
    -D POSTROUTING -j KUBE-SVC
    -F KUBE-SVC
    -X KUBE-SVC
    COMMIT
    <BLANKLINE>
    """
    script = ""
    for table, lines in _tables(now).items():
        old = set(_tables(before).get(table, []))
        new = [line for line in lines if line not in old and _OURS.search(line)]
        chains = [line[1:].split()[0] for line in new if line.startswith(":")]
        rules = [line for line in new if line.startswith("-A") and line.split()[1] not in chains]
        if new:
            commands = [f"-D{rule[2:]}" for rule in rules]
            commands += [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains]
            script += "\n".join([f"*{table}", *commands, "COMMIT", ""])
    return script


def _tables(saved: str) -> dict[str, list[str]]:
    tables: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in _lines(saved):
        if line.startswith("*"):
            lines = tables.setdefault(line[1:], [])
        elif line != "COMMIT":
            lines.append(line)
    return tables
