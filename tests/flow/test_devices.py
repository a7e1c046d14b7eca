"""What bits depend on is told apart by name."""

import types

import torch

from mmmi_hf.flow.devices import hardware


def test_hardware_that_bits_depend_on(monkeypatch):
    assert torch.backends.cpu.get_cpu_capability() in hardware(torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA Something")
    assert hardware(types.SimpleNamespace(type="cuda")) == "NVIDIA Something"
