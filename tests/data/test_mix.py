from itertools import islice

import pytest

from poseact._utils.errors import PoseActError
from poseact.data.mix import MixedBatches, MixedSource, rows_of


def mixed(**changes):
    settings = {
        "sources": (MixedSource(10, 1), MixedSource(7, 3)),
        "turns": ((3, 2),),
        "seed": 4,
        "size_at": lambda batch: 64 if batch < 5 else 128,
    }
    return MixedBatches(**{**settings, **changes})


def take(batches, count):
    return list(islice(batches, count))


def test_rows_follow_the_ratios():
    assert rows_of({"a": 3, "b": 1}, 8) == {"a": 6, "b": 2}
    assert rows_of({"a": 1, "b": 1, "c": 1}, 32) in (
        {"a": 11, "b": 11, "c": 10}, {"a": 10, "b": 11, "c": 11}, {"a": 11, "b": 10, "c": 11},
    )  # fmt: skip
    with pytest.raises(PoseActError, match=r"none for b at its ratio of 0\.010"):
        rows_of({"a": 99, "b": 1}, 32)


def test_every_batch_has_the_same_composition():
    for batch in take(mixed(), 20):
        assert [key.source for key in batch] == [0, 0, 0, 1, 1]
        assert [len(key.units) for key in batch] == [1, 1, 1, 3, 3]


def test_every_pass_reads_every_unit_once():
    units = [unit for batch in take(mixed(), 30) for key in batch[:3] for unit in key.units]
    for epoch in range(9):
        assert sorted(unit.index for unit in units if unit.epoch == epoch) == list(range(10))
    orders = {tuple(u.index for u in units if u.epoch == epoch) for epoch in range(9)}
    assert len(orders) == 9


def test_going_on_anywhere_gives_what_would_have_come():
    whole = take(mixed(), 25)
    for first in (1, 9, 24):
        assert take(mixed(first_batch=first), 25 - first) == whole[first:]
    assert take(mixed(seed=5), 25) != whole


def test_processes_share_without_overlap():
    alone = take(mixed(turns=((6, 4),)), 10)
    parts = [take(mixed(rank=rank, world_size=2), 10) for rank in (0, 1)]
    for batch, first, second in zip(alone, *parts, strict=True):
        assert sorted(batch) == sorted(first + second)


def test_the_size_follows_the_batch():
    assert [batch[0].size for batch in take(mixed(), 7)] == [64] * 5 + [128] * 2
