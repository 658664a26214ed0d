"""How long a scan takes from volume to mask, beside the paper's network tuned the same way. Prints; asserts nothing.

    python tests/benchmarks/segmenter_benchmark.py [--device cuda] [--repeats 7]

Both get the same phantom of 48 slices of 512 x 512 and the same cores, and both networks run folded, channels last, in
batches of four. The paper's network (Singh et al. 2021) labels every slice whole.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from model.bundle import BundleError, default_bundle
from model.definition import definition_for
from model.labelling import BATCH
from model.network import UNet, folded, paper_network
from model.reader import Reader, choose_device
from model.segmenter import Segmenter
from model.volume import CtVolume
from tests.tiny_bundle import tiny_bundle
from train.cases import full_resolution, make_case
from train.cohort import volume_of

SEED = 900_001


def scan() -> CtVolume:
    """A phantom at a scanner's resolution: 48 slices of 512 x 512."""
    return volume_of(make_case(SEED, full_resolution()))


def median_ms(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Median time of a call, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def paper(volume: CtVolume, device: torch.device) -> Callable[[], object]:
    """The paper's network over every slice, up to its classes as uint8 on the CPU."""
    network = folded(UNet(paper_network()).eval()).to(device)

    def work() -> object:
        with torch.inference_mode():
            hu = torch.from_numpy(volume.hu).to(device)[:, None].float().clamp(-400, 900) / 250
            hu = hu.contiguous(memory_format=torch.channels_last)
            batches = (hu[first : first + BATCH] for first in range(0, len(hu), BATCH))
            return torch.cat([network(batch).max(1).indices.to(torch.uint8) for batch in batches]).cpu()

    return work


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-paper", action="store_true")
    chosen = parser.parse_args()
    device = choose_device(chosen.device)
    try:
        bundle = default_bundle()
    except BundleError as error:
        print(f"no shipped bundle ({error}); a tiny one stands in, its times mean little")
        bundle = tiny_bundle()
    volume, definition = scan(), definition_for()
    segmenter, reader = Segmenter(bundle, device), Reader(bundle, device=chosen.device)
    found = segmenter(volume, definition)
    if not found.heart.found:
        print("the bundle finds no heart in the phantom: times are of the localiser alone")
    print(f"{device.type}, {torch.get_num_threads()} threads, {volume.hu.shape}, bundle {bundle.identity.name}")
    ours = median_ms(lambda: segmenter(volume, definition), chosen.repeats, device)
    whole = median_ms(lambda: reader.read(volume), chosen.repeats, device)
    for name, ms in found.timings_ms.items():
        print(f"  {name:<28}{ms:9.0f} ms (once)")
    print(f"  {'volume -> mask':<28}{ours:9.0f} ms")
    print(f"  {'volume -> reading':<28}{whole:9.0f} ms")
    if not chosen.no_paper:
        theirs = median_ms(paper(volume, device), max(1, chosen.repeats // 3), device)
        print(f"  {'the paper`s network, tuned':<28}{theirs:9.0f} ms ({theirs / ours:.1f} x)")


if __name__ == "__main__":
    main()
