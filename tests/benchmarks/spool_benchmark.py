"""How many instances a second are kept: file synced and renamed, ledger row committed.

Run: ``python tests/benchmarks/spool_benchmark.py [--root DIR] [--instances N] [--kib SIZE]``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from node.domain.records import Kept
from node.domain.series import Acquisition, Instance, Peer, SliceGeometry
from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from node.storage.spool import Spool, content_sha256

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def an_instance(series: int, number: int) -> Instance:
    geometry = SliceGeometry(
        position_lps_mm=(-120.0, -120.0, 3.0 * number),
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        rows=512,
        columns=512,
        pixel_spacing_mm=(0.46875, 0.46875),
    )
    return Instance(
        sop_uid=f"2.25.{series}.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        series_uid=f"2.25.{series}",
        study_uid="2.25.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        instance_number=number,
        acquisition=Acquisition(modality="CT", kvp=120.0, kernel="FC12", series_description="Cardiac 3.0"),
        slices=(geometry,),
    )


def whole(spool: Spool, ledger: Ledger, dataset: bytes) -> Callable[[int, int], None]:
    def once(series: int, number: int) -> None:
        instance = an_instance(series, number)
        sha256 = content_sha256(instance.transfer_syntax_uid, dataset)
        if ledger.kept_as(instance.sop_uid) is None:
            kept = spool.keep(
                (bytes(360), dataset), series_uid=instance.series_uid, sop_uid=instance.sop_uid, sha256=sha256
            )
            ledger.add_instance(instance, kept, Peer(ae_title="CT01", host="::1", association=str(series)), NOW)

    return once


def files_only(spool: Spool, dataset: bytes) -> Callable[[int, int], None]:
    def once(series: int, number: int) -> None:
        sha256 = content_sha256("1.2", dataset)
        spool.keep((bytes(360), dataset), series_uid=f"f{series}", sop_uid=f"f{series}.{number}", sha256=sha256)

    return once


def rows_only(ledger: Ledger) -> Callable[[int, int], None]:
    def once(series: int, number: int) -> None:
        kept = Kept(path=f"spool/{series}/{number}", sha256="0" * 64, size=1)
        peer = Peer(ae_title="CT01", host="::1", association=str(series))
        ledger.add_instance(an_instance(10_000 + series, number), kept, peer, NOW)

    return once


def measure(name: str, once: Callable[[int, int], None], *, threads: int, instances: int, first: int) -> None:
    """Print instances/s and the median and 95th percentile in milliseconds."""

    def sender(series: int) -> list[float]:
        times = []
        for number in range(instances // threads):
            began = time.perf_counter()
            once(series, number)
            times.append(1e3 * (time.perf_counter() - began))
        return times

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        times = [one for part in pool.map(sender, range(first, first + threads)) for one in part]
    took = time.perf_counter() - began
    p95 = statistics.quantiles(times, n=20)[-1]
    print(
        f"{name:28} {threads} threads {len(times) / took:8.1f} /s   median {statistics.median(times):6.2f} ms"
        f"   95 % {p95:6.2f} ms"
    )


def measure_sync(root: Path, count: int) -> None:
    """Print what one write and sync of a small file costs here, the floor of everything else."""
    times = []
    with (root / "probe").open("wb") as handle:
        for _ in range(count):
            began = time.perf_counter()
            handle.write(bytes(4096))
            handle.flush()
            os.fsync(handle.fileno())
            times.append(1e3 * (time.perf_counter() - began))
    print(f"{'append 4 KiB + fsync':28} median {statistics.median(times):6.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=None, help="where to write; default: the temporary directory")
    parser.add_argument("--instances", type=int, default=400)
    parser.add_argument("--kib", type=int, default=514, help="size of one data set")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.root) as directory:
        root = Path(directory)
        url = f"sqlite:///{root}/ledger.sqlite"
        upgrade(url)
        spool, dataset = Spool(root, 0), os.urandom(arguments.kib * 1024)
        with Ledger(url) as ledger:
            measure_sync(root, 100)
            for turn, threads in enumerate((1, 4)):
                sizes = {"threads": threads, "instances": arguments.instances, "first": 100 * turn}
                measure("ledger row alone", rows_only(ledger), **sizes)
                measure("file alone", files_only(spool, dataset), **sizes)
                measure("file and row", whole(spool, ledger, dataset), **sizes)


if __name__ == "__main__":
    main()
