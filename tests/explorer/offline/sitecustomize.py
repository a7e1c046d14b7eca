"""In the page's process: whoever turns to another machine is refused, and written down."""

import os
import socket

_CONNECT = socket.socket.connect


def _connect(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        with open(os.environ["MMMI_HF_TEST_ASKED"], "a") as log:
            log.write(f"{address}\n")
        raise OSError(f"no network in this test: {address}")
    return _CONNECT(self, address)


socket.socket.connect = _connect
