"""Metrics whose labels have no other values than those declared.

Prometheus keeps a series for every value that a label has ever had: names of users, or words of
their code, would make more of them every day. So each label says which values there are, and what
each means, and anything else is counted as `other`. A label that declares no `other` gets its
values from our own code alone; to count a wrong one must not stop a run. Help texts, the reference
page and the largest number of series come from the same declarations.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from prometheus_client import Counter, Gauge, Histogram

OTHER = "other"
FEW = 24
"""So many combinations of declared values are shown from the start, at zero: what has not happened
yet can be told from what is not measured."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a metric."""

    name: str
    values: Mapping[str, str]
    """Each value with its meaning."""

    about: str = ""
    """What stands in help texts where the values are too many to be told there."""

    def of(self, value: str) -> str:
        """Return the value as it is counted."""
        return value if value in self.values else OTHER

    @property
    def most_values(self) -> int:
        """How many values there can be, whatever happens."""
        return len({*self.values, OTHER})

    @property
    def text(self) -> str:
        """What a help text says of the label."""
        said = self.about or ", ".join(f"{v} ({what})" for v, what in self.values.items())
        return f"{self.name}: {said}."


class Family:
    """A metric: its name, what it says, and the series that it may have."""

    kind: ClassVar[str]
    each: ClassVar[int] = 1
    """Series for one combination of values of the labels."""

    def __init__(self, name: str, about: str, *labels: Label) -> None:
        self.name = name
        self.about = about
        self.labels = labels

    @property
    def help(self) -> str:
        """The help text, with the values of the labels."""
        return " ".join((self.about, *(label.text for label in self.labels)))

    @property
    def most_series(self) -> int:
        """How many series there can be, whatever happens."""
        return self.each * math.prod(label.most_values for label in self.labels)

    def _values(self, given: Sequence[str]) -> tuple[str, ...]:
        return tuple(label.of(value) for label, value in zip(self.labels, given, strict=True))

    @property
    def _few(self) -> Iterator[tuple[str, ...]]:
        """All combinations of the declared values, where they are few."""
        if math.prod(len(label.values) for label in self.labels) <= FEW:
            yield from itertools.product(*(label.values for label in self.labels))

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)


class Count(Family):
    """A number of events since the process began."""

    kind = "counter"

    def __init__(self, name: str, about: str, *labels: Label) -> None:
        super().__init__(name, about, *labels)
        self._metric = Counter(name, self.help, self._names)
        for values in self._few if labels else ():
            self._metric.labels(*values)

    def inc(self, *values: str) -> None:
        """Count one event with these values of the labels."""
        (self._metric.labels(*self._values(values)) if self.labels else self._metric).inc()


class Spread(Family):
    """How a quantity is spread over many events."""

    kind = "histogram"

    def __init__(self, name: str, about: str, *labels: Label, buckets: Sequence[float]) -> None:
        super().__init__(name, about, *labels)
        self.each = len(buckets) + 3  # type: ignore[misc]  # +Inf, sum and count
        self._metric = Histogram(name, self.help, self._names, buckets=buckets)
        for values in self._few if labels else ():
            self._metric.labels(*values)

    def observe(self, amount: float, *values: str) -> None:
        """Note the quantity of one event."""
        metric = self._metric.labels(*self._values(values)) if self.labels else self._metric
        metric.observe(amount)


class Level(Family):
    """How something stands now."""

    kind = "gauge"

    def __init__(self, name: str, about: str, *labels: Label) -> None:
        super().__init__(name, about, *labels)
        self._metric = Gauge(name, self.help, self._names)
        self._shown: dict[tuple[str, ...], float] = {}
        """What was said last, by the values of the labels."""

    def set(self, amount: float, *values: str) -> None:
        """Say how it stands."""
        known = self._values(values)
        if self._shown.get(known) != amount:
            self._shown[known] = amount
            self._of(known).set(amount)

    def compute(self, amount: Callable[[], float], *values: str) -> None:
        """Have it computed whenever somebody looks; called in a thread of its own."""
        self._of(self._values(values)).set_function(amount)

    def replace(self, amounts: Mapping[str, float]) -> None:
        """Say how it stands for every value of the one label; those not named stand at zero.

        These are the values that were ever named, and all that are declared where they are few.
        """
        shown = dict.fromkeys((value for (value,) in (*self._few, *self._shown)), 0.0)
        for value, amount in amounts.items():
            known = self.labels[0].of(value)
            shown[known] = shown.get(known, 0.0) + amount
        for value, amount in shown.items():
            self.set(amount, value)

    def clear(self) -> None:
        """Say nothing any more: with labels the series end, without them zero stands there."""
        self._shown.clear()
        if self.labels:
            self._metric.clear()
        else:
            self._metric.set(0.0)

    def _of(self, known: tuple[str, ...]) -> Gauge:
        return self._metric.labels(*known) if known else self._metric
