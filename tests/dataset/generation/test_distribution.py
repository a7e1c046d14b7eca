"""What a launcher says, and what a process makes of it."""

import logging
import types

import pytest
import torch

from mmmi_hf.dataset.generation.launcher import Place, hardware

TORCHRUN = {
    "RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "abc",
}


def test_without_a_launcher_a_process_is_alone():
    assert Place.from_environment({}) == Place(0, 1, 0, None)
    assert Place.from_environment({"WORLD_SIZE": "1", "RANK": "0"}) == Place()


def test_processes_of_one_run_know_each_other_and_no_other_run():
    here = Place.from_environment(TORCHRUN)
    assert (here.rank, here.world_size, here.local_rank) == (1, 4, 1)
    elsewhere = Place.from_environment({**TORCHRUN, "RANK": "3"})
    assert here.run == elsewhere.run
    for change in ({"TORCHELASTIC_RUN_ID": "abd"}, {"MASTER_PORT": "29501"}, {"WORLD_SIZE": "5"}):
        assert Place.from_environment({**TORCHRUN, **change}).run != here.run


def test_a_run_on_one_machine_is_told_apart_by_machine_and_launcher(monkeypatch):
    single = {**TORCHRUN, "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1"}
    first = Place.from_environment(single)
    assert Place.from_environment({**single, "RANK": "2"}).run == first.run
    with monkeypatch.context() as patch:
        patch.setattr("os.getppid", lambda: 1)
        assert Place.from_environment(single).run != first.run
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    assert Place.from_environment(single).run != first.run


def test_mpi_and_a_missing_local_rank():
    given = {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3"}
    place = Place.from_environment(given)
    assert (place.rank, place.world_size, place.local_rank) == (2, 3, 2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"RANK": "4"}, r"RANK must be 0 … 3 where WORLD_SIZE is 4, got 4"),
        ({"RANK": ""}, r"got None; start the processes by torchrun"),
        ({"WORLD_SIZE": "many"}, r"WORLD_SIZE must be an integer, got 'many'"),
    ],
)
def test_an_environment_that_contradicts_itself(change, says):
    with pytest.raises(ValueError, match=says):
        Place.from_environment({**TORCHRUN, **change})


def test_a_launcher_that_started_fewer_processes_than_it_was_asked_for_is_noticed(caplog):
    given = {"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    with caplog.at_level(logging.WARNING):
        assert Place.from_environment(given).world_size == 1
    assert "asked for several processes and started one" in caplog.text


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_every_process_has_its_own_first_chunks_and_knows_all(world):
    chunks = list(range(10))
    orders = [Place(rank, world).order(chunks) for rank in range(world)]
    assert all(sorted(order) == chunks for order in orders)
    assert [order[0] for order in orders] == chunks[:world]
    own = [order[: len(chunks[rank::world])] for rank, order in enumerate(orders)]
    assert sorted(index for chosen in own for index in chosen) == chunks


def test_the_device_of_a_process(monkeypatch):
    assert Place().device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Place(rank=3, world_size=4, local_rank=3).device() == "cuda:1"
    assert Place().device("cuda") == "cuda:0"
    assert Place().device("cuda:1") == "cuda:1"
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert Place().device() == "cpu"


def test_hardware_that_bits_depend_on(monkeypatch):
    assert torch.backends.cpu.get_cpu_capability() in hardware(torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA Something")
    assert hardware(types.SimpleNamespace(type="cuda")) == "NVIDIA Something"
