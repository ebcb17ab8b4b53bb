"""Random walks against a model of the truth, on both databases.

`make test` walks the same walks every time; `make soak` walks new ones. What a failure prints can be walked again:

    MODEL_WALK="17 create:4711 sync_moving:815 …" .venv/bin/pytest tests/model

takes these steps in an estate made from the first number. Leave steps out by hand, or set MODEL_SHORTEN to a number
of seconds that may be spent on it. MODEL_STEPS are taken on each database; MODEL_SEED is the first walk's number.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import count

import pytest
from walk import CHANGES, SYNCS, Step, Walk, draw_steps, shorten

from etl.load.warehouse import Warehouse

STEPS = int(os.environ.get("MODEL_STEPS", "256"))
SEED = int(os.environ.get("MODEL_SEED", "1"))
SHORTEN_SECONDS = float(os.environ.get("MODEL_SHORTEN", "0"))
STEPS_A_WALK = 64


def walks() -> Iterator[tuple[int, list[Step]]]:
    """The number of each walk's estate, and its steps."""
    if again := os.environ.get("MODEL_WALK"):
        seed, *steps = again.split()
        yield int(seed), [Step.read(step) for step in steps]
        return
    for start in range(0, STEPS, STEPS_A_WALK):
        seed = SEED + start // STEPS_A_WALK
        yield seed, draw_steps(seed, min(STEPS_A_WALK, STEPS - start))


@pytest.mark.parametrize(("seed", "steps"), [pytest.param(*walk, id=str(walk[0])) for walk in walks()])
def test_a_random_walk_keeps_every_promise(warehouse: Warehouse, seed: int, steps: list[Step]) -> None:
    names = (f"appliance-{number}" for number in count(1))

    def fails(steps: Sequence[Step]) -> bool:
        try:
            Walk(warehouse, seed, next(names)).take(steps)
        except AssertionError:
            return True
        return False

    walk = Walk(warehouse, seed, next(names))
    try:
        walk.take(steps)
    except Exception as error:
        steps = shorten(steps[: walk.taken], fails, SHORTEN_SECONDS)
        again = " ".join(map(str, (seed, *steps)))
        raise AssertionError(f'{error}\n\nTo walk it again:\nMODEL_WALK="{again}"') from error
    print(sorted(walk.counted.items()))


def test_walks_take_every_kind_of_step() -> None:
    taken = {step.word for seed in range(SEED, SEED + 8) for step in draw_steps(seed, STEPS_A_WALK)}
    assert taken == CHANGES.keys() | SYNCS.keys()


def test_a_walk_is_shortened_to_the_steps_that_matter() -> None:
    steps = draw_steps(1, STEPS_A_WALK)
    matter = [steps[7], steps[40]]
    assert shorten(steps, lambda some: all(step in some for step in matter), seconds=10) == matter
    assert [Step.read(str(step)) for step in steps] == steps
