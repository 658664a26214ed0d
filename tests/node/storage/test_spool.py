from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.errors import Refused, StorageAway, StorageFull, Unreadable
from node.domain.records import Kept
from node.storage import durable
from node.storage.durable import DurableFiles
from node.storage.spool import Outbox, Spool, StorageLock, content_sha256
from tests.node.storage.builders import META

DATASET = bytes(range(256)) * 100


def keep(spool: Spool, sop: str = "1.2.1", dataset: bytes = DATASET, series: str = "1.2") -> Kept:
    return spool.keep((META, dataset), series_uid=series, sop_uid=sop, sha256=content_sha256("1.2.4", dataset))


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_the_file_is_the_chunks_in_order_and_private(spool: Spool, root: Path) -> None:
    kept = keep(spool)
    assert (root / kept.path).read_bytes() == META + DATASET
    assert kept.size == len(META + DATASET)
    assert files(root) == {kept.path}
    assert (root / kept.path).stat().st_mode & 0o077 == 0
    assert spool.holds(kept.path)
    assert spool.path(kept.path) == root / kept.path


def test_chunks_may_be_views_of_other_items(spool: Spool, root: Path) -> None:
    words = memoryview(bytes(8)).cast("H")
    kept = spool.keep((words, bytearray(b"x")), series_uid="1", sop_uid="2", sha256="0" * 64)
    assert (root / kept.path).read_bytes() == bytes(8) + b"x"


def test_content_is_data_set_and_transfer_syntax() -> None:
    assert content_sha256("1.2.4", DATASET) == content_sha256("1.2.4", memoryview(DATASET))
    assert content_sha256("1.2.4", DATASET) != content_sha256("1.2.5", DATASET)
    assert content_sha256("1.2.4", DATASET) != content_sha256("1.2.4", DATASET + b"\0")


def test_no_file_is_shared_not_even_of_the_same_content(spool: Spool, root: Path) -> None:
    first, again, other = keep(spool), keep(spool), keep(spool, dataset=b"other")
    assert first.sha256 == again.sha256 != other.sha256
    assert files(root) == {first.path, again.path, other.path}
    assert len(files(root)) == 3


@given(st.text(), st.text())
def test_no_uid_leads_out_of_the_spool(series: str, sop: str) -> None:
    from node.storage.spool import _name  # noqa: PLC0415 the property is about this one function

    name = _name(series, sop, "0" * 64, ".dcm")
    assert all(part.replace(".dcm", "").replace(".", "").isalnum() for part in name.split("/"))
    assert len(name.split("/")) == 3


@pytest.mark.parametrize(
    "path", ["spool", "spool/../ledger.sqlite", "spool//x", "/etc/passwd", "outbox/x", "spool/./x", " "]
)
def test_paths_that_are_not_the_spools_are_refused(spool: Spool, path: str) -> None:
    with pytest.raises(Refused):
        spool.path(path)


def test_a_file_that_was_let_go_is_nowhere(spool: Spool) -> None:
    assert not spool.holds("")
    with pytest.raises(Unreadable, match="no longer kept"):
        spool.path("")


def test_write_sync_rename_sync_in_that_order(spool: Spool, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(spool, "1.2.0")  # its directories are there now
    steps: list[tuple[str, str]] = []
    sync, rename = os.fsync, Path.rename

    def name(path: str) -> str:
        return Path(path).relative_to(root).parts[0]

    def spied_sync(handle: int) -> None:
        target = Path(f"/proc/self/fd/{handle}").readlink()
        steps.append(("sync directory" if target.is_dir() else "sync file", name(str(target))))
        sync(handle)

    def spied_rename(self: Path, target: Path) -> Path:
        steps.append(("rename", name(str(target))))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", spied_sync)
    monkeypatch.setattr(Path, "rename", spied_rename)
    keep(spool)
    assert steps == [("sync file", "spool.incoming"), ("rename", "spool"), ("sync directory", "spool")]


def test_new_directories_are_synced_before_the_file_is_kept(
    spool: Spool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = durable.sync_directory
    monkeypatch.setattr(
        durable, "sync_directory", lambda path: (synced.append(path.relative_to(root).as_posix()), sync(path))
    )
    kept = keep(spool)
    top, two, series, _ = kept.path.split("/")
    assert synced == [top, f"{top}/{two}", f"{top}/{two}/{series}"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_no_room_is_storage_full_and_leaves_nothing(
    spool: Spool, root: Path, monkeypatch: pytest.MonkeyPatch, code: int, step: str
) -> None:
    def fails(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path if step == "rename" else os, step, fails)
    with pytest.raises(StorageFull):
        keep(spool)
    assert files(root) == set()
    monkeypatch.undo()
    assert keep(spool).size > 0


def test_full_after_a_part_leaves_nothing(spool: Spool, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:100]))  # short writes are legal
    assert (root / keep(spool).path).read_bytes() == META + DATASET
    room = iter([100, 100])

    def until_full(handle: int, data: memoryview) -> int:
        try:
            return write(handle, data[: next(room)])
        except StopIteration:
            raise OSError(errno.ENOSPC, "full") from None

    monkeypatch.setattr(os, "write", until_full)
    with pytest.raises(StorageFull):
        keep(spool, "1.2.2")
    assert len(files(root)) == 1


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("step", ["open", "fsync", "rename", "sync of the directory"])
def test_a_disk_that_cannot_be_written_is_away_and_nothing_is_left(
    spool: Spool, root: Path, monkeypatch: pytest.MonkeyPatch, code: int, step: str
) -> None:
    def fails(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    where = {"rename": Path, "sync of the directory": durable}.get(step, os)
    monkeypatch.setattr(where, "sync_directory" if where is durable else step, fails)
    with pytest.raises(StorageAway, match="spool cannot be written"):
        keep(spool)
    assert files(root) == set()
    monkeypatch.undo()
    assert keep(spool).size > 0


def test_what_cannot_even_be_removed_is_swept_later(spool: Spool, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "read-only file system")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fails)
        broken.setattr(Path, "unlink", fails)
        with pytest.raises(StorageAway):
            keep(spool)
    assert len(files(root)) == 1
    assert spool.sweep(()).temporary == 1
    assert files(root) == set()


def test_an_answer_that_the_disk_does_not_give_now_is_no_damage(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(root)
    kept = outbox.keep(b"an answer", series_uid="1.2", name="sr", suffix=".dcm")

    def fails(*_: object) -> bytes:
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", fails)
        with pytest.raises(StorageAway, match="cannot be read now"):
            outbox.read(kept)
    assert outbox.read(kept) == b"an answer"


def test_chunks_that_raise_leave_nothing(spool: Spool, root: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"part"
        raise RuntimeError("the peer is gone")

    with pytest.raises(RuntimeError):
        spool.keep(chunks(), series_uid="1", sop_uid="2", sha256="0" * 64)
    assert files(root) == set()


def test_the_reserve_stays_free(root: Path) -> None:
    with pytest.raises(StorageFull, match="reserve"):
        keep(Spool(root, shutil.disk_usage("/").total * 1000))
    assert files(root) == set()


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        spool, kept = Spool(disk, 0), []
        with contextlib.suppress(StorageFull):
            kept.extend(keep(spool, f"1.2.{number}") for number in range(100))
        with pytest.raises(StorageFull):
            keep(spool)
        assert len(kept) > 10
        assert files(disk) == {one.path for one in kept}
        assert all((disk / one.path).stat().st_size == one.size for one in kept)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_quarantine_moves_out_of_the_spool(spool: Spool, root: Path) -> None:
    first, other = keep(spool), keep(spool, dataset=b"other")
    moved = spool.quarantine(other)
    assert files(root) == {first.path, moved.path}
    assert moved.path.startswith("quarantine/")
    assert spool.path(moved.path).read_bytes() == META + b"other"


def test_sweep_removes_what_nobody_knows(spool: Spool, root: Path) -> None:
    kept, orphan = keep(spool), keep(spool, "1.2.9", series="1.9")
    moved = spool.quarantine(keep(spool, dataset=b"other"))
    (root / "spool.incoming" / "17-0").write_bytes(b"cut sh")
    swept = spool.sweep({kept.path, moved.path, "spool/gone", "outbox/not-mine"})
    assert (swept.temporary, swept.orphans, swept.missing) == (1, 1, ("spool/gone",))
    assert files(root) == {kept.path, moved.path}
    assert not (root / orphan.path).parent.exists()


def test_remove_clears_empty_directories_and_the_series_may_come_back(spool: Spool, root: Path) -> None:
    first, second = keep(spool), keep(spool, "1.2.2")
    spool.remove(first.path)
    assert files(root) == {second.path}
    spool.remove(second.path)
    spool.remove(second.path)
    assert list((root / "spool").iterdir()) == []
    again = keep(spool)
    assert files(root) == {again.path}


def test_many_threads_keep_the_same_and_other_instances(spool: Spool, root: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        kept = set(pool.map(lambda number: keep(spool, f"1.2.{number % 20}", series=f"1.{number % 7}"), range(140)))
    assert len(kept) == 140
    assert files(root) == {one.path for one in kept}


def test_forgotten_directories_are_made_durable_again(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "_REMEMBERED", 3)
    assert len({keep(spool, "1.2.1", series=f"1.{number}").path for number in range(10)}) == 10


def test_outbox_gives_back_what_was_kept(root: Path) -> None:
    outbox = Outbox(root)
    kept = outbox.keep(b"a report", series_uid="1.2", name="sr 1", suffix=".dcm")
    assert outbox.read(kept) == b"a report"
    assert kept.path.endswith(".dcm")


def test_outbox_refuses_what_is_not_what_was_kept(root: Path) -> None:
    outbox = Outbox(root)
    kept = outbox.keep(b"a report", series_uid="1.2", name="sr 1", suffix=".dcm")
    (root / kept.path).write_bytes(b"a rep0rt")
    with pytest.raises(Unreadable, match="not what was kept"):
        outbox.read(kept)
    outbox.remove(kept.path)
    with pytest.raises(Unreadable, match="missing"):
        outbox.read(kept)
    (root / kept.path).mkdir(parents=True)
    with pytest.raises(Unreadable, match="cannot be read"):
        outbox.read(kept)


def test_outbox_sweep_leaves_the_spool_alone(spool: Spool, root: Path) -> None:
    outbox, kept = Outbox(root), keep(spool)
    made = outbox.keep(b"1", series_uid="1.2", name="seg", suffix=".dcm")
    outbox.keep(b"2", series_uid="1.2", name="seg", suffix=".dcm")
    swept = outbox.sweep({made.path, kept.path})
    assert (swept.orphans, swept.missing) == (1, ())
    assert files(root) == {kept.path, made.path}


def test_a_second_node_on_one_root_is_refused(root: Path) -> None:
    with StorageLock(root), pytest.raises(Refused, match=f"process {os.getpid()}"):
        StorageLock(root).__enter__()
    with StorageLock(root):
        assert root.stat().st_mode & 0o077 == 0


def test_a_lock_that_was_never_taken_ends_quietly(root: Path) -> None:
    StorageLock(root).__exit__(None, None, None)


def test_retention_of_another_process_does_not_lose_an_arrival(spool: Spool, root: Path) -> None:
    keep(spool)
    shutil.rmtree(root / "spool" / next((root / "spool").iterdir()).name)
    assert (root / keep(spool).path).is_file()


def test_a_vanished_temporary_file_is_an_error(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DurableFiles, "_fill", lambda *_: 0)
    with pytest.raises(StorageAway, match="vanished"):
        keep(spool)


def test_removing_while_keeping(spool: Spool, root: Path) -> None:
    def both(number: int) -> None:
        kept = keep(spool, f"1.2.{number % 4}", series=f"1.{number % 2}")
        spool.remove(kept.path)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(both, range(200)))
    assert files(root) == set()
