"""How fast volumes are read and images are received: ``python -m tests.benchmarks.dicom_benchmark``.

Prints a table. Receiving needs dcmtk in /usr/bin; TCP_NODELAY is set, or dcmtk waits 40 ms per image.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from model.volume import CtVolume
from node.dicom.files import file_head
from node.dicom.headers import read_instance
from node.dicom.listener import Listener, ListenerConfig, StoreRequest
from node.dicom.volumes import read_volume
from tests.dicom_series import Style, ct_series, thorax, write_series

_STORESCU = Path("/usr/bin/storescu")


def scan(slices: int = 48) -> CtVolume:
    """48 slices of 512 x 512, half a megabyte each."""
    return thorax(slices, 512, 512)


def volume_seconds(folder: Path, repeats: int = 7) -> tuple[float, float]:
    """Best and median time of reading 48 slices that are in the page cache."""
    paths = write_series(ct_series(scan()), folder)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        read_volume(paths)
        times.append(time.perf_counter() - started)
    return min(times), sorted(times)[repeats // 2]


def images_per_second(folder: Path, target: Path, *, senders: int, rounds: int = 4) -> float:
    """Rate at which ``senders`` storescu processes get images into files (not fsynced) and headers parsed."""

    def store(data: bytes, request: StoreRequest) -> None:
        read_instance(data, request.transfer_syntax_uid)
        head = file_head(
            sop_class_uid=request.sop_class_uid,
            sop_uid=request.sop_uid,
            transfer_syntax_uid=request.transfer_syntax_uid,
        )
        path = target / f"{request.peer.association}-{request.sop_uid}"
        with path.open("wb", buffering=0) as file:
            file.write(head)
            file.write(data)

    listener = Listener(ListenerConfig(ae_title="CALCIUM2R", host="127.0.0.1", port=0), store)
    listener.start()
    command = [str(_STORESCU), "-pdu", "131072", "-aec", "CALCIUM2R", "+sd", "127.0.0.1", str(listener.port)]
    command += [str(folder)] * rounds
    environment = {**os.environ, "TCP_NODELAY": "1"}
    started = time.perf_counter()
    running = [subprocess.Popen(command, env=environment) for _ in range(senders)]
    codes = [process.wait() for process in running]
    took = time.perf_counter() - started
    listener.stop()
    count = len(list(target.iterdir()))
    for path in target.iterdir():
        path.unlink()
    if any(codes):
        raise RuntimeError(f"storescu ended with {codes}")
    return count * rounds / took  # each round writes the same files again


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder, target = Path(name) / "scan", Path(name) / "target"
        target.mkdir()
        best, median = volume_seconds(folder)
        print(f"read 48 x 512 x 512       best {best * 1000:6.1f} ms   median {median * 1000:6.1f} ms")
        if not _STORESCU.exists():
            print("receiving not measured: no dcmtk")
            return
        write_series(ct_series(scan(), Style(name="sent")), folder)
        for senders in (1, 4):
            rate = images_per_second(folder, target, senders=senders)
            print(f"receive, {senders} sender(s)      {rate:6.0f} images/s of 0.53 MB")


if __name__ == "__main__":
    main()
