"""Random walks against a model of the truth."""

from __future__ import annotations

import os

import pytest
from walk import Walk, draw_steps

from etl.load.warehouse import Warehouse

STEPS = int(os.environ.get("MODEL_STEPS", "512"))
SEED = int(os.environ.get("MODEL_SEED", "1"))
STEPS_A_WALK = 64


@pytest.mark.parametrize("seed", range(SEED, SEED + -(-STEPS // STEPS_A_WALK)))
def test_a_random_walk_keeps_every_promise(warehouse: Warehouse, seed: int) -> None:
    steps = draw_steps(seed, STEPS_A_WALK)
    walk = Walk(warehouse, seed)
    walk.take(steps)
    print(dict(walk.counted))
