"""What a run did: its tasks, when, and who started whom."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from graflow.exceptions import MissingPackageError

RUNNING, COMPLETED, FAILED = "running", "completed", "failed"
_GRAPHML = "http://graphml.graphdrawing.org/xmlns"


class Record:
    """Nodes with their times and states, edges, and the order in which nodes began.

    A node that begins again is the same node; its latest pass is what it shows.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.edges: dict[tuple[str, str], str] = {}
        """The relation of each edge."""
        self.order: list[str] = []
        self._mutex = Lock()

    def begin(self, node: str, metadata: Mapping[str, Any], parent: str | None = None) -> None:
        """Note that a node begins, and who started it."""
        with self._mutex:
            self.nodes[node] = {
                "status": RUNNING,
                "start_time": datetime.now(UTC),
                "metadata": dict(metadata),
            }
            self.order.append(node)
            if parent in self.nodes and parent is not None:
                self.edges[parent, node] = "parent-child"

    def end(self, node: str, metadata: Mapping[str, Any]) -> None:
        """Note that a node has ended; metadata with an `error` says that it failed."""
        with self._mutex:
            found = self.nodes.setdefault(node, {"start_time": None, "metadata": {}})
            found["status"] = FAILED if metadata.get("error") else COMPLETED
            found["end_time"] = datetime.now(UTC)
            found["metadata"].update(metadata)

    def relate(self, before: str, after: str, relation: str) -> None:
        """Note an edge."""
        with self._mutex:
            self.edges[before, after] = relation

    def as_dict(self) -> dict[str, Any]:
        """Return all of it."""
        with self._mutex:
            return {
                "nodes": [{"id": node, **facts} for node, facts in self.nodes.items()],
                "edges": [
                    {"source": before, "target": after, "relation": relation}
                    for (before, after), relation in self.edges.items()
                ],
                "execution_order": list(self.order),
            }

    def as_json(self) -> dict[str, Any]:
        """Return all of it in what JSON has: times as texts, other objects as their `str`."""
        found: dict[str, Any] = _plain(self.as_dict())
        return found

    def as_graphml(self) -> str:
        """Return nodes and edges as GraphML, each fact as a text."""
        ET.register_namespace("", _GRAPHML)
        root = ET.Element(f"{{{_GRAPHML}}}graphml")
        graph = ET.Element(f"{{{_GRAPHML}}}graph", edgedefault="directed")
        keys: dict[tuple[str, str], str] = {}
        found = self.as_json()
        for node in found["nodes"]:
            facts = {"status": node["status"], "start_time": node["start_time"]}
            facts |= {"end_time": node.get("end_time"), **node["metadata"]}
            _element(graph, "node", {"id": node["id"]}, facts, keys)
        for edge in found["edges"]:
            ends = {"source": edge["source"], "target": edge["target"]}
            _element(graph, "edge", ends, {"relation": edge["relation"]}, keys)
        for (kind, name), key in keys.items():
            traits = {"id": key, "for": kind, "attr.name": name, "attr.type": "string"}
            ET.SubElement(root, f"{{{_GRAPHML}}}key", traits)
        root.append(graph)
        return ET.tostring(root, encoding="unicode", xml_declaration=True)

    def as_networkx(self) -> Any:  # noqa: ANN401 - networkx is optional
        """Return a `networkx.DiGraph`.

        Raises:
            MissingPackageError: If networkx is not installed.
        """
        try:
            import networkx as nx  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingPackageError(
                "networkx",
                "get_runtime_graph()",
                "pip install networkx, or use export_runtime_graph()",
            ) from error
        found = self.as_dict()
        made = nx.DiGraph()
        for node in found["nodes"]:
            made.add_node(node.pop("id"), **node)
        for edge in found["edges"]:
            made.add_edge(edge["source"], edge["target"], relation=edge["relation"])
        return made


def _element(
    graph: ET.Element,
    kind: str,
    traits: dict[str, str],
    facts: Mapping[str, object],
    keys: dict[tuple[str, str], str],
) -> None:
    made = ET.SubElement(graph, f"{{{_GRAPHML}}}{kind}", traits)
    for name, fact in facts.items():
        if fact is not None:
            key = keys.setdefault((kind, name), f"d{len(keys)}")
            ET.SubElement(made, f"{{{_GRAPHML}}}data", key=key).text = str(fact)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)
