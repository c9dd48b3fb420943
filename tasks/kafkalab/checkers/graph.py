"""Cycles in large graphs: components by scipy, orders with few edges, a short cycle of each.

Nodes are operations, named by the row at which they begin. A relation such as "ended before the
other began" has O(n²) pairs; `order_edges` says the same with O(n) edges, by *barriers*: helper
nodes sorted by time, each leading to the next. An operation leads to the barrier of its end, and
the last barrier before its begin leads to it. Barriers have negative names, and a step through
any number of them is one step of a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

STARTS_MAX = 64  # edges of a component from which a shortest cycle is looked for
STARTS_MIN = 4  # the same in a component of at least
LARGE = 10_000  # edges
_FREE = 1e-9  # weight of a step between barriers: they are no operations


@dataclass(frozen=True)
class Edges:
    """Directed edges by the names of their nodes; parallel ones are harmless."""

    sources: Ints
    targets: Ints

    def __add__(self, other: Edges) -> Edges:
        return Edges(
            np.concatenate((self.sources, other.sources)),
            np.concatenate((self.targets, other.targets)),
        )

    def where(self, mask: Mask) -> Edges:
        """Those of which `mask` is true."""
        return Edges(self.sources[mask], self.targets[mask])


def order_edges(group: Ints, node: Ints, begin: Ints, end: Ints, first_barrier: int = -1) -> Edges:
    """Edges by which A leads to B, exactly if A's end lies before B's begin in the same group.

    Args:
        group: what each entry belongs to (a process; all zeros for real time).
        node: its operation; one operation may have entries in several groups.
        begin: ns; −1 where it cannot follow anything.
        end: ns; −1 where nothing is known to follow it.
        first_barrier: name of the first barrier; the others follow below.
    """
    times = distinct(np.concatenate((begin, end)))
    width = len(times) + 1
    ended, begun = end >= 0, begin >= 0
    ends = group[ended] * width + np.searchsorted(times, end[ended])
    marks = distinct(ends)  # one barrier for each group and time
    at = np.searchsorted(marks, ends)
    barriers = first_barrier - np.arange(len(marks), dtype=np.int64)
    same = marks[1:] // width == marks[:-1] // width
    begins = group[begun] * width + np.searchsorted(times, begin[begun])
    last = np.searchsorted(marks, begins) - 1
    found = last >= 0
    found[found] = marks[last[found]] // width == group[begun][found]
    return Edges(
        np.concatenate((node[ended], barriers[:-1][same], barriers[last[found]])),
        np.concatenate((barriers[at], barriers[1:][same], node[begun][found])),
    )


def distinct(values: Ints) -> Ints:
    """Sorted, each once; where most differ this takes a tenth of np.unique, which hashes."""
    found = np.sort(values)
    return found[np.append(True, found[1:] != found[:-1])] if len(found) else found


@dataclass(frozen=True)
class Components:
    """The strongly connected components of a graph: `names` sorted, and the label of each."""

    names: Ints
    labels: Ints
    edges: Edges

    def within(self, edges: Edges) -> Mask:
        """Which edges lie on a cycle: both ends in one component (and no loop)."""
        same: Mask = self._label(edges.sources) == self._label(edges.targets)
        same &= edges.sources != edges.targets
        return same

    def _in(self, edges: Edges, label: int) -> Mask:
        mask: Mask = self._label(edges.sources) == label
        mask &= self._label(edges.targets) == label
        return mask

    def _label(self, nodes: Ints) -> Ints:
        return self.labels[np.searchsorted(self.names, nodes)]

    def cyclic(self) -> list[Ints]:
        """The nodes of each component with more than one operation."""
        order = np.argsort(self.labels, kind="stable")
        starts = np.flatnonzero(np.diff(self.labels[order], prepend=-1))
        sizes = np.diff(starts, append=len(order))
        return [
            nodes
            for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True)
            if (nodes := self.names[order[start : start + size]])[-1] >= 0
        ]

    def cycle(self, nodes: Ints, through: Edges | None = None) -> list[int]:
        """Operations of a short cycle through `nodes`, a component; the first is the least.

        The shortest one where few edges come into question, else the best of some starts.

        Args:
            nodes: one of `cyclic`.
            through: edges of which every cycle has one, if some are known.
        """
        label = self._label(nodes[:1])[0]
        inside = self.edges.where(self._in(self.edges, label))
        graph = _matrix(nodes, inside)
        via = inside.where(inside.sources >= 0) if through is None else through
        via = via.where(self._in(via, label) & (via.sources != via.targets))
        starts = STARTS_MAX if len(inside.sources) < LARGE else STARTS_MIN
        heads = np.unique(via.targets[:: max(1, len(via.targets) // starts)])[:starts]
        best: list[int] = []
        for head in heads:
            path = _around(graph, nodes, via, head)
            best = path if not best or len(path) < len(best) else best
        least = best.index(min(best))
        return best[least:] + best[:least]


def components(edges: Edges) -> Components:
    """Strongly connected components, in time linear in the edges."""
    from scipy.sparse.csgraph import connected_components

    names = distinct(np.concatenate((edges.sources, edges.targets)))
    _, labels = connected_components(_matrix(names, edges), directed=True, connection="strong")
    return Components(names, labels.astype(np.int64), edges)


def _matrix(names: Ints, edges: Edges) -> csr_array:
    from scipy.sparse import csr_array

    row, column = np.searchsorted(names, edges.sources), np.searchsorted(names, edges.targets)
    # every step costs 1 as it enters an operation; parallel edges add up, so they are merged
    pairs = distinct(row * len(names) + column) if len(names) else row
    row, column = pairs // max(len(names), 1), pairs % max(len(names), 1)
    weights = np.where(names[column] >= 0, 1.0, _FREE)
    return csr_array((weights, (row, column)), shape=(len(names), len(names)))


def _around(graph: csr_array, nodes: Ints, edges: Edges, head: int) -> list[int]:
    """The operations of a shortest cycle that enters `head` by one of `edges`."""
    from scipy.sparse.csgraph import dijkstra

    start = int(np.searchsorted(nodes, head))
    distance, before = dijkstra(graph, indices=start, return_predecessors=True)
    tails = np.searchsorted(nodes, edges.sources[edges.targets == head])
    at = int(tails[np.argmin(distance[tails])])
    path = []
    while at != start:
        path.append(at)
        at = int(before[at])
    path.append(start)
    return [int(nodes[i]) for i in reversed(path) if nodes[i] >= 0]
