"""Serving the page: on this machine, or as a Space.

Owns what is switched off – telemetry, fonts and scripts from elsewhere, the record of runs – and the temporary folder
that everything is written to, downloads included, which goes when the page ends. The libraries that download read the
environment when they are imported: a program that imported them before keeps their caches.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any

from mmmi_hf.explorer.surroundings import MOST_RESULTS_BYTES, MOST_VISITORS, Surroundings

_EXTRA = "the explorer needs Gradio, which is not installed: pip install 'mmmi-hf[explorer]'"
_OFF = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_RUN_HISTORY": "False"}
_AT_ONCE = 4


class NotInstalledError(ValueError):
    """The extra `explorer` is not there; the message says how to have it."""


def launch(
    *,
    public: bool = False,
    datasets: Sequence[str] = (),
    port: int | None = None,
    open_browser: bool = False,
    ready: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve the page until it is interrupted.

    Args:
        public: strangers use it, as a Space: no path and no address that they write is opened.
        datasets: owner/name or owner/name@revision of datasets that a public page offers.
        port: of this machine; by default the first free one from 7860 on.
        open_browser: open it in the browser of this machine.
        ready: told the page's address once it is there.

    Raises:
        NotInstalledError: without the extra `explorer`.
        ValueError: the port is taken.
    """
    check_installed()
    with tempfile.TemporaryDirectory(prefix="mmmi-hf-explorer-", ignore_cleanup_errors=True) as work:
        # A visitor may name any file in Gradio's folder as one that they uploaded: downloads lie elsewhere.
        os.environ |= _OFF | {
            "GRADIO_TEMP_DIR": f"{work}/uploads",
            "HF_HUB_CACHE": f"{work}/hub",
            "HF_XET_CACHE": f"{work}/xet",
        }
        os.environ |= {"HF_DATASETS_CACHE": f"{work}/datasets", "HF_MODULES_CACHE": f"{work}/modules"}
        os.environ |= {"TORCHINDUCTOR_CACHE_DIR": f"{work}/inductor"}
        served = _served(Surroundings(public, tuple(datasets)), port, open_browser)
        try:
            ready(served.local_url)
            _wait()
        finally:
            served.close(verbose=False)


def _wait() -> None:
    """Return when the page is interrupted, or ended by whoever runs it: its folder goes in either case."""
    ended = threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with contextlib.suppress(KeyboardInterrupt):
        while not ended.wait(0.5):
            pass


def check_installed() -> None:
    """Raises NotInstalledError without the extra `explorer`."""
    if importlib.util.find_spec("gradio") is None:
        raise NotInstalledError(_EXTRA)


def _served(where: Surroundings, port: int | None, open_browser: bool) -> Any:
    from mmmi_hf.explorer.page import looks, page

    made = page(where)
    made.queue(default_concurrency_limit=_AT_ONCE, max_size=64)
    gc.collect()
    gc.freeze()  # what is loaded now stays: a collection in the middle of a drawing would look at all of it
    try:
        made.launch(
            server_name=None if where.public else "127.0.0.1",
            server_port=port,
            inbrowser=open_browser,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            max_file_size=MOST_RESULTS_BYTES,
            state_session_capacity=MOST_VISITORS,
            **looks(),
        )
    except OSError as error:
        raise ValueError(f"port: {' '.join(str(error).split())}") from error
    return made
