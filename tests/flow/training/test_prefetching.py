"""Work done ahead of its use: order, errors, and what is left undone when it is given up."""

import itertools
import threading
import time

import pytest

from mmmi_hf.flow.training.prefetching import ahead


def test_results_come_in_order_and_all_of_them():
    assert list(ahead(lambda x: x * x, range(20), threads=3, ready=4)) == [x * x for x in range(20)]
    assert list(ahead(abs, [])) == []


def test_only_a_few_are_made_ahead():
    made = []
    results = ahead(made.append, itertools.count(), threads=2, ready=3)
    for _ in range(5):
        next(results)
    results.close()
    assert 5 <= len(made) <= 5 + 3


def test_work_is_done_in_other_threads():
    here = threading.get_ident()
    assert here not in set(ahead(lambda _: threading.get_ident(), range(4)))


def test_an_error_comes_where_its_result_would_have():
    results = ahead(lambda x: 1 / (2 - x), range(5), threads=1)
    assert [next(results), next(results)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_what_has_not_begun_is_given_up():
    begun = []

    def slow(number):
        begun.append(number)
        if number:
            time.sleep(0.2)

    results = ahead(slow, range(9), threads=2, ready=8)
    next(results)
    results.close()
    assert len(begun) <= 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
