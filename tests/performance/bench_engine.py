"""A rehearsal of a large configuration: datatrove's tasks into an S3 server on this machine, then to a loopback Hub.

    python -m tests.performance.bench_engine --rows 100000 1000000 10000000 [--no-publish]

One-dimensional modalities, no views. For each number of rows: seconds, of the clock and of all processors without those
of the server, and the largest memory of any one process, of making, merging and publishing; then the cost fitted to the
number of rows, and the writing of files against that of pyarrow alone with the same options. It needs the packages
datatrove, moto[server] and s3fs.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmmi_hf.dataset.completion import merge
from mmmi_hf.dataset.engine import generate_by_engine
from mmmi_hf.dataset.format.parquet import parquet_options
from mmmi_hf.dataset.format.schema import features
from mmmi_hf.dataset.generation.rows import load_bijections, make_rows, row_key
from mmmi_hf.dataset.generation.shards import Shard, Shards
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.dataset.stores.addresses import AddressStore
from mmmi_hf.dataset.stores.local import LocalStore
from tests.dataset.stores.loopback_s3 import running
from tests.hub.clients import environment
from tests.hub.hub_data import TOKEN
from tests.hub.loopback import LoopbackHub
from tests.support import ROOT

PUBLISH = """
import re, sys
from mmmi_hf.hub import publish
done = publish(sys.argv[1], "org/rehearsal", measure=False, progress=False)
print(len(done.changes), int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


def config(rows):
    return MMMIConfig(
        name="rehearsal",
        causal_model={"story": "common_cause", "shape": [16], "mi": 1.0},
        modalities=(Modality("identity"), Modality("asinh")),
        rows=rows,
        seed=1,
    )


class Use:
    """The largest resident memory of this process and of each of its descendants but the server, MB, and the seconds of
    all processors that they take, while the context lasts."""

    def __enter__(self):
        self.peaks, self.seconds, self.ended = {}, {}, threading.Event()
        self.begin = sum(os.times()[:2])
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *problem):
        self.ended.set()
        self.thread.join()

    def _watch(self):
        while not self.ended.wait(0.2):
            parents, sizes, spent = {}, {}, {}
            for path in Path("/proc").glob("[0-9]*"):
                try:
                    fields = (path / "stat").read_text().rpartition(")")[2].split()
                    command = (path / "cmdline").read_text()
                except OSError:
                    continue
                if "loopback_s3" not in command:
                    parents[int(path.name)] = int(fields[1])
                    sizes[int(path.name)] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1_000_000
                    spent[int(path.name)] = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
            for pid, size in sizes.items():
                above = pid
                while above in parents and above != os.getpid():
                    above = parents[above]
                if above == os.getpid():
                    self.peaks[pid] = max(self.peaks.get(pid, 0), size)
                    self.seconds[pid] = spent[pid]

    @property
    def processor(self):
        """Seconds of all processors."""
        return sum(self.seconds.values()) - self.begin

    @property
    def largest(self):
        """Of this process, and of any other."""
        own = self.peaks.get(os.getpid(), 0)
        return own, max((size for pid, size in self.peaks.items() if pid != os.getpid()), default=0)


def writing(rows=300_000):
    """Rows per CPU second of writing, reading back and storing given rows, over those of pyarrow alone."""
    wanted = config(10_000_000)
    table = make_rows(wanted, 0, rows)
    columns = features(wanted.model, {})
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shards = Shards(LocalStore(root, root), wanted, columns, row_key(wanted, load_bijections(wanted)))
        shard = Shard("data/rehearsal/train.parquet", "train", range(rows))
        options = parquet_options(columns.arrow_schema)

        def ours():
            shards.put(shard, [table], [table], root)
            shards.remove(shard)

        def bare():
            pq.write_table(table, root / "bare.parquet", row_group_size=shards.group_rows, **options)

        times = {}
        for way in (ours, bare):
            spent = []
            for _ in range(5):
                begin = time.process_time()
                way()
                spent.append(time.process_time() - begin)
            times[way.__name__] = min(spent)
    return {name: rows / seconds for name, seconds in times.items()}


def rehearse(rows, address, workers):
    with Use() as use:
        begin = time.monotonic()
        made = generate_by_engine(
            config(rows),
            address,
            tasks=16,
            workers=workers,
            executor="local",
            certify=False,
            figures=False,
            device="cpu",
        )
        spent = time.monotonic() - begin
    own, workers_own = use.largest
    size = sum(AddressStore(address).list("data").values())
    return {
        "rows": rows,
        "rows_made": made.rows_made,
        "seconds": round(spent, 1),
        "rows_per_second": round(rows / spent),
        "processor_seconds": round(use.processor, 1),
        "megabytes": round(size / 1e6),
        "launcher_mb": own,
        "worker_mb": workers_own,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--publish", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--certify", action="store_true")
    chosen = parser.parse_args()
    found = []
    with running() as bucket:
        for rows in chosen.rows:
            found.append(rehearse(rows, f"{bucket}/{rows}", chosen.workers))
            print(json.dumps(found[-1]), flush=True)
        if len(found) > 1:
            for what in ("seconds", "processor_seconds"):
                slope, fixed = np.polyfit([each["rows"] for each in found], [each[what] for each in found], 1)
                print(json.dumps({what: f"{fixed:.1f} + {slope * 1e6:.1f} per million rows"}), flush=True)
        address = f"{bucket}/{chosen.rows[-1]}"
        if chosen.certify:
            with Use() as use:
                begin = time.monotonic()
                (merged,) = merge(address, figures=False, progress=False)
            valid = merged.certificate is not None and merged.certificate.valid
            spent = round(time.monotonic() - begin, 1)
            print(json.dumps({"certified": valid, "seconds": spent, "mb": use.largest[0]}), flush=True)
        if chosen.publish:
            home = tempfile.mkdtemp()
            with LoopbackHub(token=TOKEN) as hub:
                for again in (False, True):
                    begin = time.monotonic()
                    given = {name: os.environ[name] for name in os.environ if name.startswith("AWS_")}
                    done = subprocess.run(
                        [sys.executable, "-c", PUBLISH, address],
                        env=environment(hub, home, token=TOKEN, **given),
                        cwd=ROOT,
                        check=True,
                        capture_output=True,
                        text=True,
                    )
                    files, size = done.stdout.split()[-2:]
                    spent = round(time.monotonic() - begin, 1)
                    print(
                        json.dumps({"again": again, "sent": int(files), "seconds": spent, "mb": int(size)}), flush=True
                    )
            shutil.rmtree(home)
    pace = {name: round(value) for name, value in writing().items()}
    print(json.dumps({"writing": pace, "share": round(pace["ours"] / pace["bare"], 2)}), flush=True)


if __name__ == "__main__":
    pa.set_cpu_count(1)
    main()
