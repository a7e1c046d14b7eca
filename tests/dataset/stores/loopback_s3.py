"""An S3 server on the loopback interface, by moto, in a process of its own, with faults on demand.

    python -m tests.dataset.stores.loopback_s3 [--share 0.2] [--kinds 503 slow cut lost] [--seed 0] [--noted FILE]

prints its port. Of the requests the given share fails: answered 503, carried out late, cut in the middle of the
answer, or carried out without an answer; which ones is noted in a file. Spared is the making of a bucket, and who calls
with `UNHARMED`. It needs the packages moto[server] and s3fs.
"""

import argparse
import contextlib
import os
import random
import socket
import subprocess
import sys
import threading
import time

import fsspec

from tests.support import ROOT

BUCKET = "bucket"
KINDS = ("503", "slow", "cut", "lost")
UNHARMED = {"config_kwargs": {"user_agent_extra": "unharmed"}, "use_listings_cache": False}
"""Options of a file system that sees no faults and what is there now: for who looks at what faults have done."""


class Faulty:
    """A WSGI application of which some answers fail."""

    def __init__(self, application, share, kinds, seed, noted):
        self.application, self.share, self.kinds = application, share, kinds
        self.generator, self.lock, self.noted = random.Random(seed), threading.Lock(), noted

    def __call__(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        spared = "unharmed" in environ.get("HTTP_USER_AGENT", "") or (method == "PUT" and path.count("/") < 2)
        with self.lock:
            faulty = not spared and self.generator.random() < self.share
            kind = self.generator.choice(self.kinds) if faulty else None
        if kind and self.noted:
            with open(self.noted, "a") as stream:
                stream.write(f"{time.strftime('%H:%M:%S')} {kind} {method} {path}?{environ['QUERY_STRING']}\n")
        if kind == "503":
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>"]
        if kind == "slow":
            time.sleep(0.3)
        answer = b"".join(self.application(environ, start_response))
        if kind == "lost":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        return self._cut(answer) if kind == "cut" and answer else [answer]

    @staticmethod
    def _cut(answer):
        yield answer[: len(answer) // 2]
        raise ConnectionAbortedError("the answer is cut")


def serve(share, kinds, seed, noted):
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *arguments):
            pass

    application = Faulty(DomainDispatcherApplication(create_backend_app), share, kinds, seed, noted)

    def leave():  # with whoever started it
        parent = os.getppid()
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=leave, daemon=True).start()
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    print(server.port, flush=True)
    server.serve_forever()


@contextlib.contextmanager
def running(share=0.0, kinds=KINDS, seed=0, noted=""):
    """A server with an empty bucket; the variables of its clients are set while it runs. Gives the bucket's address."""
    program = [sys.executable, "-m", "tests.dataset.stores.loopback_s3", "--share", str(share), "--seed", str(seed)]
    program += ["--noted", str(noted)]
    process = subprocess.Popen(
        [*program, "--kinds", *kinds],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=os.environ | {"S3_UPLOAD_PART_MIN_SIZE": "1"},  # so that small files can be sent in parts
    )
    before = dict(os.environ)
    try:
        endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"
        os.environ.update(
            AWS_ENDPOINT_URL=endpoint,
            AWS_ACCESS_KEY_ID="loopback",
            AWS_SECRET_ACCESS_KEY="loopback",
            AWS_DEFAULT_REGION="us-east-1",
            NO_PROXY="127.0.0.1",
        )
        fsspec.get_filesystem_class("s3").clear_instance_cache()  # of another endpoint
        fsspec.filesystem("s3").mkdir(BUCKET)
        yield f"s3://{BUCKET}"
    finally:
        process.kill()
        process.wait()
        os.environ.clear()
        os.environ.update(before)
        fsspec.get_filesystem_class("s3").clear_instance_cache()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--share", type=float, default=0.0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noted", default="")
    chosen = parser.parse_args()
    serve(chosen.share, chosen.kinds, chosen.seed, chosen.noted)
