"""How much callers have of what there is for all: connections, or bytes in memory."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Shares:
    """What is in use, in all and by each address."""

    tells_peers_apart: bool = True
    """Whether callers have addresses of their own; behind a mesh all may have one."""

    total: int = 0
    by_peer: Counter[str] = field(default_factory=Counter)

    def fits(self, peer: str, size: int, *, most: int, most_of_a_peer: int) -> bool:
        """Whether a peer may have so much more."""
        own = self.by_peer[peer] if self.tells_peers_apart else 0
        return self.total + size <= most and own + size <= most_of_a_peer

    def take(self, peer: str, size: int) -> None:
        """Count what a peer has now."""
        self.total += size
        self.by_peer[peer] += size

    def give_back(self, peer: str, size: int) -> None:
        """Count it no more."""
        self.total -= size
        self.by_peer[peer] -= size
        if not self.by_peer[peer]:
            del self.by_peer[peer]
