"""Ctrl-C while networks run: it is obeyed within one evaluation of a network, and said."""

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from mmmi_hf.dataset.certificate.inversion import recover
from tests.networks import smaller_flow
from tests.support import generate

SAID = "mmmi-hf: interrupted; run the same command again to continue"
SECONDS_OF_AN_EVALUATION = 0.4
AT_MOST = 2 * torch.get_num_threads()
"""Evaluations that may begin after Ctrl-C: one on each thread, and one that was about to when it was noticed. A
micro-batch, or a part of the inversion, takes 16 or more."""

COMMAND = f"""
import signal, time
import diffusers

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever this process inherited
evaluate = diffusers.UNet2DModel.forward

def slowly(*arguments, **keywords):
    if arguments[1].is_meta:  # the shapes of weights are looked at first
        return evaluate(*arguments, **keywords)
    print("evaluating", flush=True)
    time.sleep({SECONDS_OF_AN_EVALUATION})
    return evaluate(*arguments, **keywords)

diffusers.UNet2DModel.forward = slowly

from mmmi_hf.cli import main

main()
"""


@pytest.fixture
def story(tmp_path):
    """Images of a small network, as a file for the command line."""
    smaller_flow(8).save_pretrained(tmp_path / "pipeline")
    path = tmp_path / "story.yaml"
    path.write_text(
        f"rows: 200\nmodalities: [{{pipeline: {tmp_path / 'pipeline'}, class_label: 1}}]\n"
        "causal_model: {story: common_cause, shape: [1, 8, 8], mi: 0.5, modalities: 1}\n"
    )
    return path


def interrupted(*arguments):
    """Exit code, stderr, and the evaluations begun after Ctrl-C, of a command interrupted once its network runs."""
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "evaluating\n", process.stderr.read()
        process.send_signal(signal.SIGINT)
        try:
            printed, said = process.communicate(timeout=120)
        finally:
            process.kill()
        return process.returncode, said, printed.count("evaluating\n")


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_generate_leaves_soon_and_continues(story, tmp_path):
    code, said, begun = interrupted("generate", story, "--out", tmp_path / "out", "--no-certify")
    assert code == 130
    assert said.splitlines()[-1] == SAID
    assert "Traceback" not in said
    assert begun <= AT_MOST
    again = generate(str(story), tmp_path / "out", certify=False)
    whole = generate(str(story), tmp_path / "whole", certify=False)
    assert content(again.folder) == content(whole.folder)


def test_verify_shows_a_beginning_and_leaves_soon(story, tmp_path):
    folder = generate(str(story), tmp_path / "out", certify=False).folder
    code, said, begun = interrupted("verify", folder)
    assert code == 130
    assert said.splitlines()[-1] == SAID
    assert "making again story: 0 of 200 rows\n" in said
    assert "Traceback" not in said
    assert begun <= AT_MOST
    assert not (folder / "certificates").exists()


def test_no_evaluation_begins_after_an_interrupt_and_no_thread_stays():
    """What a caller of the library gets, in a notebook for example."""
    pipeline, threads = smaller_flow(8), 2
    evaluations = []
    after = threading.Event()

    def watched(*_):
        evaluations.append(after.is_set())
        time.sleep(0.01)

    def ctrl_c(rows):
        after.set()
        raise KeyboardInterrupt

    pipeline.unet.register_forward_pre_hook(watched)
    images = np.random.default_rng(0).standard_normal((64, 1, 8, 8)).astype(np.float32)
    before, running = torch.get_num_threads(), threading.active_count()
    torch.set_num_threads(threads)
    try:
        with pytest.raises(KeyboardInterrupt):
            recover(pipeline, 1, images, tick=ctrl_c)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(evaluations) > 16
    assert sum(evaluations) <= 2 * threads  # the flag is set a moment after the interrupt
    assert threading.active_count() == running
