"""Read every case of a source with every reader, one case at a time, and keep what was found."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import cache

import torch

from train.evaluation.compare import ScanReader, compare
from train.evaluation.readers import ReaderSpec
from train.evaluation.records import CaseRecord
from train.evaluation.sources import Source
from train.evaluation.store import Key, Store

Task = tuple[str, tuple[ReaderSpec, ...]]


def evaluate(
    source: Source, readers: Sequence[ReaderSpec], store: Store, done: Callable[[str], None], *, jobs: int = 1
) -> tuple[CaseRecord, ...]:
    """Records of every case by every reader, in order of case and then of reader.

    Parameters
    ----------
    store
        What it holds already, made of the same cases by the same readers, is not made again.
    done
        Called with the name of each case as it is finished.
    jobs
        Processes that share the work; each loads the readers once.

    Raises
    ------
    train.evaluation.sources.DataError
        A case cannot be used.

    """
    names = source.names()
    prints = {reader: reader.fingerprint() for reader in readers}
    keys = {
        (name, reader): Key(case=source.fingerprint(name), reader=prints[reader])
        for name in names
        for reader in readers
    }
    tasks: list[Task] = []
    for name in names:
        missing = tuple(reader for reader in readers if store.get(keys[name, reader]) is None)
        if missing:
            tasks.append((name, missing))
        else:
            done(name)
    for (name, missing), records in _worked(source, tasks, jobs):
        for reader, record in zip(missing, records, strict=True):
            store.add(keys[name, reader], record)
        done(name)
    found = [(reader, store.get(key)) for (_, reader), key in keys.items()]
    # a bundle keeps its readings when it is given another name
    return tuple(replace(record, reader=reader.name) for reader, record in found if record is not None)


def _worked(source: Source, tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, tuple[CaseRecord, ...]]]:
    if jobs == 1:
        for task in tasks:
            yield task, _read(source, task)
        return
    threads = max(1, (os.cpu_count() or jobs) // jobs)
    context = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        waiting = {pool.submit(_read, source, task): task for task in tasks}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _read(source: Source, task: Task) -> tuple[CaseRecord, ...]:
    name, readers = task
    scan = source.load(name)
    return tuple(compare(scan, reader.name, _opened(reader).read(scan.volume)) for reader in readers)


@cache
def _opened(reader: ReaderSpec) -> ScanReader:
    return reader.open()
