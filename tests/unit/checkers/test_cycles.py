"""Components, order by few edges, short cycles; and that a large history's circles are found."""

import itertools

import numpy as np
import pytest

from kafkalab.checkers.graph import Edges, components, order_edges


def edges(*pairs):
    sources, targets = zip(*pairs, strict=True) if pairs else ((), ())
    return Edges(np.array(sources, dtype=np.int64), np.array(targets, dtype=np.int64))


def found(graph):
    return [nodes.tolist() for nodes in components(graph).cyclic()]


def test_a_graph_without_a_circle_has_none():
    assert found(edges((1, 2), (2, 3), (1, 3), (5, 3))) == []
    assert found(edges()) == []


def test_each_component_is_found_once_and_loops_are_none():
    graph = edges((1, 2), (2, 1), (3, 4), (4, 5), (5, 3), (5, 1), (7, 7))
    assert sorted(found(graph)) == [[1, 2], [3, 4, 5]]


def test_edges_within_are_those_on_circles():
    graph = edges((1, 2), (2, 1), (2, 3), (7, 7), (4, 5), (5, 4))
    assert components(graph).within(graph).tolist() == [True, True, False, False, True, True]


def test_the_shortest_cycle_is_the_evidence_and_begins_with_the_least():
    ring = [(i, (i + 1) % 10) for i in range(10)]
    graph = components(edges(*ring, (4, 2)))
    (nodes,) = graph.cyclic()
    assert graph.cycle(nodes) == [2, 3, 4]


def before(begins, ends, groups):
    """All pairs, the slow way."""
    every = range(len(begins))
    return {
        (a, b)
        for a, b in itertools.product(every, every)
        if groups[a] == groups[b] and 0 <= ends[a] < begins[b]
    }


def reachable(graph):
    after: dict[int, set[int]] = {}
    for a, b in zip(graph.sources.tolist(), graph.targets.tolist(), strict=True):
        after.setdefault(a, set()).add(b)

    def ahead(node):
        seen, todo = set(), [node]
        while todo:
            for other in after.get(todo.pop(), ()):
                if other >= 0:
                    seen.add(other)
                elif other not in seen:
                    todo.append(other)
        return seen

    return {(a, b) for a in after if a >= 0 for b in ahead(a)}


@pytest.mark.parametrize("seed", range(20))
def test_order_by_barriers_is_the_order_of_all_pairs(seed):
    random = np.random.default_rng(seed)
    count = 30
    begins = random.integers(0, 40, count)
    ends = begins + random.integers(0, 15, count)
    ends[random.random(count) < 0.2] = -1  # nobody knows when it ended
    begins[random.random(count) < 0.1] = -1  # it cannot follow anything
    groups = random.integers(0, 3, count)
    graph = order_edges(groups, np.arange(count), begins, ends)
    assert reachable(graph) == before(begins, ends, groups)
    assert len(graph.sources) <= 3 * count


def test_steps_through_barriers_are_one_step():
    begins, ends = np.array([0, 10, 20, 30]), np.array([5, 15, 25, 35])
    time = order_edges(np.zeros(4, dtype=np.int64), np.arange(4), begins, ends)
    graph = components(edges((3, 0)) + time)
    (nodes,) = graph.cyclic()
    assert graph.cycle(nodes) == [0, 3]


def test_barriers_of_two_orders_do_not_mix():
    begins, ends = np.array([0, 10]), np.array([5, 15])
    one = order_edges(np.array([0, 1]), np.arange(2), begins, ends)
    two = order_edges(np.array([0, 0]), np.arange(2), begins, ends, int(one.targets.min()) - 1)
    assert not set(one.targets[one.targets < 0]) & set(two.targets[two.targets < 0])
    assert found(edges((1, 0)) + one) == []
    assert len(found(edges((1, 0)) + one + two)) == 1


@pytest.mark.parametrize("size", [2, 3, 50])
def test_a_large_graph_s_circles_are_all_found(size):
    count = 20_000
    chain = np.arange(count, dtype=np.int64)
    back = chain[::1000]
    graph = Edges(np.concatenate((chain[:-1], back + size - 1)), np.concatenate((chain[1:], back)))
    looked = components(graph)
    assert [len(nodes) for nodes in looked.cyclic()] == [size] * (count // 1000)
    assert all(len(looked.cycle(nodes)) == size for nodes in looked.cyclic()[:3])
