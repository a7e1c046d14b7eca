"""What a launcher says, what Accelerate sees, and what a process makes of it."""

import logging
import types

import pytest
import torch
from accelerate import PartialState

from mmmi_hf.common.failures import Failure
from mmmi_hf.dataset.generation import launcher
from mmmi_hf.dataset.generation.launcher import Processes, start
from mmmi_hf.dataset.generation.rows import blas


def seen(rank=0, world=1, device="cpu"):
    """A PartialState of some launcher."""
    state = types.SimpleNamespace(process_index=rank, num_processes=world, device=torch.device(device))
    state.split_between_processes = lambda items: PartialState.split_between_processes(state, items)
    return state


@pytest.fixture
def shell(monkeypatch):
    """Sets what a launcher left in the environment; `start` meets nobody, and the state is forgotten afterwards."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    PartialState._shared_state.clear()
    yield lambda **given: [monkeypatch.setenv(name, value) for name, value in given.items()]
    PartialState._shared_state.clear()


def test_without_a_launcher_a_process_is_alone_and_has_no_process_group(shell, caplog):
    threads = torch.get_num_threads()
    processes = start()
    assert (processes.rank, processes.world_size, processes.device("cpu")) == (0, 1, "cpu")
    assert not torch.distributed.is_initialized()
    assert torch.get_num_threads() == threads
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("left", "says"),
    [
        ({"RANK": "1", "WORLD_SIZE": "2"}, "asked for 2 processes (WORLD_SIZE=2), Accelerate sees one"),
        ({"OMPI_COMM_WORLD_SIZE": "3"}, "asked for 3 processes (OMPI_COMM_WORLD_SIZE=3), Accelerate sees one"),
        ({"ACCELERATE_MIXED_PRECISION": "no", "MASTER_PORT": "29500"}, "asked for several processes"),
    ],
)
def test_a_launcher_that_was_asked_for_more_processes_is_said(shell, caplog, left, says):
    shell(**left)
    with caplog.at_level(logging.WARNING):
        assert start().world_size == 1
    assert says in caplog.text
    assert "unset what a launcher left in the shell" in caplog.text


def test_a_number_of_processes_that_is_none(shell):
    shell(WORLD_SIZE="many")
    with pytest.raises(ValueError, match="WORLD_SIZE must be a number of processes, got 'many'"):
        start()


def test_processes_that_do_not_meet(shell, monkeypatch):
    shell(RANK="1", WORLD_SIZE="2", LOCAL_RANK="1", MASTER_ADDR="127.0.0.1", MASTER_PORT="1")
    monkeypatch.setattr(launcher, "MINUTES_TO_MEET", 1 / 60)
    threads = torch.get_num_threads()
    with pytest.raises(Failure, match="the 2 processes did not meet: "):
        start()
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("world", [1, 2, 3, 7, 12])
def test_every_process_has_a_share_of_its_own_and_knows_all(world):
    items = list(range(10))
    orders = [Processes(seen(rank, world)).order(items) for rank in range(world)]
    assert sorted(item for own, _ in orders for item in own) == items
    assert all(sorted(own + others) == items for own, others in orders)
    for rank, (own, others) in enumerate(orders):
        before = orders[rank - 1][0]
        if own and before and world > 1:
            assert others[0] == before[-1], "it begins with what the process before it does last"


def test_the_device_of_a_process():
    assert Processes(seen(device="cuda:1")).device() == "cuda:1"
    assert Processes(seen(device="cuda:1")).device("cuda") == "cuda:1"
    assert Processes(seen(device="cuda:1")).device("cuda:0") == "cuda:0"
    assert Processes(seen(device="cuda:1")).device("cpu") == "cpu"
    assert Processes(seen(device="cuda:1"), on_cpu=True).device() == "cpu"
    assert Processes(seen(device="mps")).device() == "cpu"


def test_the_kernels_of_linear_algebra_are_named(monkeypatch):
    seen = [
        {"user_api": "openmp", "internal_api": "openmp", "version": None, "filepath": "/a/torch/lib/gomp.so"},
        {"user_api": "blas", "internal_api": "mkl", "version": "1", "filepath": "/a/scipy.libs/b.so"},
        {
            "user_api": "blas",
            "internal_api": "openblas",
            "version": "2",
            "architecture": "Zen",
            "filepath": "/a/numpy.libs/b.so",
        },
    ]
    for found, named in ((seen, "openblas 2 Zen"), (seen[:2], "mkl 1"), (seen[:1], "")):
        monkeypatch.setattr("mmmi_hf.dataset.generation.rows.threadpool_info", lambda found=found: found)
        assert blas.__wrapped__() == named
