"""Reading ahead in a thread changes nothing of what is read."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from poseact.media.ahead import read_ahead


def test_items_come_in_order_and_from_another_thread():
    threads = set()

    def items():
        for number in range(20):
            threads.add(threading.get_ident())
            yield number

    assert list(read_ahead(items())) == list(range(20))
    assert threads
    assert threading.get_ident() not in threads


def test_at_most_so_many_are_read_ahead_and_none_after_the_end():
    read = []

    def items():
        for number in range(100):
            read.append(number)
            yield number

    source = items()
    with closing(read_ahead(source, 3)) as ahead:
        assert [next(ahead), next(ahead)] == [0, 1]
    assert len(read) <= 2 + 3
    before = list(read)
    source.close()  # which fails while another thread runs it
    assert read == before


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise ValueError("damaged")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(ahead)
