"""``python -m train.localise_check``: where the localiser finds the heart in real scans with masks and in phantoms.

The release gate: centres within 10 mm, a plastic phantom without a heart. LIDC masks (AIM-Harvard DeepCAC) reach up
along the great vessels; those of TotalSegmentator were made by software, and its scans hold contrast agent.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import torch.nn.functional as F
import typer
from numpy.typing import NDArray
from scipy import ndimage

from model.bundle import load_bundle
from model.heart import Located, locate
from model.labels import Anatomy, Organ
from model.network import UNet, coarse_network, folded
from model.preprocess import Millimetre, Upright, coarse_input
from model.volume import CtVolume, Vector, VolumeGrid
from train.cases import make_case, training_resolution
from train.loop import CHECKPOINT, averaged
from train.realism.sources import real_scans
from train.wide import wide_case

NEAR_MM: Final = 10.0

_SMALLEST_ML: Final = 120.0
_HEART: Final = (*range(Anatomy.LEFT_VENTRICLE, Anatomy.RIGHT_ATRIUM + 1), Anatomy.EPICARDIAL)
_WITH_VESSELS: Final = (Organ.HEART, Organ.ROOT, Organ.PULMONARY_ARTERY)
_HELD_OUT: Final = 950_001


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """A scan towards head, back and left, and its heart: a mask, None where nobody drew one, empty where none is.

    With ``vessels`` the mask goes on into the great vessels, up to a level where its drawer stopped.
    """

    name: str
    volume: CtVolume
    heart: NDArray[np.bool_] | None
    vessels: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What was located in a scan.

    Attributes
    ----------
    off_mm
        Centre found minus true centre, (x, y, z) in LPS; None if either is missing.
    vessels_mm
        The same distance for heart, root and pulmonary artery together, up to the level where the mask ends; it
        judges masks that hold these vessels.
    dice
        Of the heart, on the localiser's grid.
    sure
        Mean probability of what is taken for the heart.
    organs
        :class:`model.labels.Organ` (z, y, x) at about 4 mm, with ``image`` in HU and ``truth``, the drawn heart.

    """

    scan: Scan
    located: Located | None
    off_mm: NDArray[np.float64] | None
    vessels_mm: float | None
    dice: float | None
    sure: float
    organs: NDArray[np.int64]
    image: NDArray[np.float32]
    truth: NDArray[np.bool_] | None

    @property
    def right(self) -> bool:
        """Whether it passes the gate."""
        if self.scan.heart is None:
            return self.located is not None
        if not self.scan.heart.any():
            return self.located is None
        if self.off_mm is None or self.vessels_mm is None:
            return False
        return (self.vessels_mm if self.scan.vessels else float(np.linalg.norm(self.off_mm))) <= NEAR_MM

    def line(self) -> str:
        """One row of a table."""
        if self.located is None:
            return f"| {self.scan.name} | none | | | | | {self.sure:.2f} | | {'ok' if self.right else 'WRONG'} |"
        finding = self.located.finding
        off = "" if self.off_mm is None else "{:+.1f} {:+.1f} {:+.1f}".format(*self.off_mm)
        far = "" if self.off_mm is None else f"{np.linalg.norm(self.off_mm):.1f}"
        with_vessels = "" if self.vessels_mm is None else f"{self.vessels_mm:.1f}"
        dice = "" if self.dice is None else f"{self.dice:.3f}"
        blood = "-" if finding.blood_pool_hu is None else f"{finding.blood_pool_hu:.0f}"
        cut = " ".join(finding.truncated) or "whole"
        verdict = "ok" if self.right else "WRONG"
        heart = f"{finding.volume_ml:.0f} ml, {cut} | {self.sure:.2f}"
        return f"| {self.scan.name} | {far} | {off} | {with_vessels} | {dice} | {heart} | {blood} | {verdict} |"


HEAD: Final = "| scan | mm off | x y z | with vessels | Dice | heart | sure | blood HU | |\n" + "| --- " * 9 + "|"


def find(network: UNet, scan: Scan) -> Found:
    """Locate the heart of one scan and hold it against the truth."""
    upright = Upright.of(scan.volume)
    millimetre = Millimetre.of(upright, torch.device("cpu"))
    image, span = coarse_input(millimetre.hu, millimetre.spacing_mm, network.config.multiple)
    size = [round(n / s) for n, s in zip(millimetre.hu.shape, span, strict=True)]
    with torch.inference_mode():
        located = locate(network, millimetre, upright, _SMALLEST_ML)
        share = network(image)[0, :, : size[0], : size[1], : size[2]].softmax(0).numpy()
    organs, truth = share.argmax(0), _coarse(scan.heart, size)
    ours = organs == Organ.HEART
    off = dice = vessels = None
    if scan.heart is not None and truth is not None and truth.any() and located is not None:
        middle = scan.volume.grid.to_lps(np.argwhere(scan.heart).mean(axis=0))
        off = np.array(located.finding.centre_lps_mm) - middle
        dice = float(2 * (truth & ours).sum() / (truth.sum() + ours.sum()))
        inside = np.isin(organs, _WITH_VESSELS)
        inside[np.flatnonzero(truth.any(axis=(1, 2)))[-1] + 1 :] = False
        inside = _largest(inside)
        place = (np.argwhere(inside).mean(axis=0) + 0.5) * span - 0.5
        vessels = float(np.linalg.norm(upright.grid.to_lps(millimetre.to_native(place)) - middle))
    return Found(
        scan=scan,
        located=located,
        off_mm=off,
        vessels_mm=vessels,
        dice=dice,
        sure=float(share[Organ.HEART][ours].mean()) if ours.any() else 0.0,
        organs=organs,
        image=image[0, 0].numpy()[: size[0], : size[1], : size[2]] * 500,
        truth=truth,
    )


def _largest(chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, _ = ndimage.label(chosen)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax())


def _coarse(mask: NDArray[np.bool_] | None, size: list[int]) -> NDArray[np.bool_] | None:
    if mask is None:
        return None
    share = torch.from_numpy(mask.astype(np.float32))[None, None]
    return np.asarray(F.interpolate(share, size=size, mode="area")[0, 0].numpy() >= 0.5)


def open_scans(folder: Path) -> list[Scan]:
    """Scans with open licences, as far as they are there."""
    scans = [
        Scan(
            name=scan.name,
            volume=_volume(np.ascontiguousarray(scan.hu), scan.spacing_mm, (0.0, 0.0, 0.0)),
            heart=np.zeros(scan.hu.shape, dtype=np.bool_) if scan.name == "QRM" else scan.heart,
            vessels=scan.name.startswith("LIDC"),
        )
        for scan in real_scans(folder)
    ]
    return scans + _totalsegmentator(folder / "totalsegmentator-aorta")


def phantoms(count: int) -> list[Scan]:
    """Held-out phantoms: gated scans, and as many whole chests."""
    scans = []
    for number in range(count):
        for kind, case in (
            ("gated", make_case(_HELD_OUT + number, training_resolution())),
            ("chest", wide_case(100_000 + number)),
        ):
            volume = _volume(case.hu.astype(np.float32), case.spacing_mm, (0.0, 0.0, 0.0))
            scans.append(Scan(name=f"phantom, {kind} {number}", volume=volume, heart=np.isin(case.anatomy, _HEART)))
    return scans


def localiser(path: Path) -> UNet:
    """From a bundle's folder or a run's."""
    if (path / CHECKPOINT).is_file():
        return folded(averaged(UNet(coarse_network()), path))
    return folded(load_bundle(path).coarse)


def _totalsegmentator(folder: Path) -> list[Scan]:
    """Two crops of one CT with contrast agent; their heart mask has a grid of its own."""
    if not folder.is_dir():
        return []
    mask, corner, step = read_nifti(folder / "pulmonary_report" / "heart.nii.gz")
    scans = []
    for name in ("aorta_report", "pulmonary_report"):
        hu, origin, spacing = read_nifti(folder / name / "ct_cropped.nii.gz")
        heart = np.zeros(hu.shape, dtype=np.bool_)
        first = np.round((np.array(origin) - corner) / step).astype(int)
        ours = [slice(max(0, -f), max(0, min(n, m - f))) for f, n, m in zip(first, hu.shape, mask.shape, strict=True)]
        theirs = tuple(slice(one.start + f, one.stop + f) for one, f in zip(ours, first, strict=True))
        heart[tuple(ours)] = mask[theirs] > 0
        scans.append(
            Scan(
                name=f"TotalSegmentator {name.removesuffix('_report')}",
                volume=_volume(hu, spacing, origin),
                heart=heart,
            )
        )
    return scans


def read_nifti(path: Path) -> tuple[NDArray[np.float32], Vector, Vector]:
    """Voxels (z, y, x), origin and spacing (z, y, x) in LPS of a gzipped NIfTI-1 that runs left, back and up.

    Raises ValueError for any other. https://nifti.nimh.nih.gov/nifti-1/documentation
    """
    data = gzip.decompress(path.read_bytes())
    size = np.frombuffer(data, "<i2", 8, 40)
    kind = {2: "u1", 4: "<i2", 16: "<f4"}[int(np.frombuffer(data, "<i2", 1, 70)[0])]
    start = int(np.frombuffer(data, "<f4", 1, 108)[0])
    slope, intercept = np.frombuffer(data, "<f4", 2, 112).tolist()
    rows = np.frombuffer(data, "<f4", 12, 280).reshape(3, 4).astype(np.float64) * np.array([[-1], [-1], [1]])
    step = np.diag(rows[:, :3])
    if not (step > 0).all() or np.abs(rows[:, :3] - np.diag(step)).max() > 1e-4:
        raise ValueError(f"{path.name} does not run to the left, back and up")
    x, y, z = size[1:4].tolist()
    values = np.frombuffer(data, kind, x * y * z, start).reshape(z, y, x).astype(np.float32)
    origin, spacing = rows[::-1, 3].tolist(), step[::-1].tolist()
    return (
        values * (slope or 1.0) + intercept,
        (origin[0], origin[1], origin[2]),
        (spacing[0], spacing[1], spacing[2]),
    )


def _volume(hu: NDArray[np.float32], spacing: Vector, origin: Vector) -> CtVolume:
    grid = VolumeGrid(
        shape=(hu.shape[0], hu.shape[1], hu.shape[2]),
        spacing_mm=spacing,
        origin_lps_mm=(origin[2], origin[1], origin[0]),
    )
    return CtVolume(hu=hu.astype(np.float32), grid=grid)


def picture(found: Found, path: Path) -> None:
    """Three planes through the heart's centre with every organ's contour; the drawn heart is white."""
    from matplotlib import colormaps  # noqa: PLC0415  slow to import, and only pictures need it
    from matplotlib.figure import Figure  # noqa: PLC0415

    heart = np.argwhere(found.organs == Organ.HEART)
    middle = heart.mean(axis=0).astype(int) if len(heart) else np.array(found.organs.shape) // 2
    figure = Figure(figsize=(15, 5.5), layout="constrained")
    for axis, plot in enumerate(figure.subplots(1, 3)):
        image, organs = (values.take(middle[axis], axis=axis) for values in (found.image, found.organs))
        plot.imshow(image, cmap="gray", vmin=-250, vmax=300, origin="upper" if axis == 0 else "lower")
        for organ in list(Organ)[1:]:
            if (organs == organ).any():
                plot.contour(organs == organ, [0.5], colors=[colormaps["tab10"](organ % 10)], linewidths=1.2)
        if found.truth is not None and found.truth.take(middle[axis], axis=axis).any():
            plot.contour(found.truth.take(middle[axis], axis=axis), [0.5], colors="white", linewidths=0.8)
        plot.set_axis_off()
    figure.suptitle(found.line().strip("| "), fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=70)


def main(
    weights: Annotated[Path, typer.Argument(help="A bundle's folder, or one with a checkpoint of the localiser.")],
    reference: Annotated[Path, typer.Option(help="Folder of the open reference data.")] = Path("../shared/data"),
    cases: Annotated[int, typer.Option(min=0, help="Held-out phantoms of each kind.")] = 4,
    pictures: Annotated[Path | None, typer.Option(help="Folder for one picture a scan.")] = None,
) -> None:
    """Print centre errors and Dice; exits with 1 if a scan fails the gate."""
    torch.set_num_threads(1)
    network = localiser(weights)
    typer.echo(HEAD)
    failed = False
    for scan in [*open_scans(reference), *phantoms(cases)]:
        found = find(network, scan)
        typer.echo(found.line())
        failed |= not found.right
        if pictures is not None:
            picture(found, pictures / f"{scan.name.replace(',', '').replace(' ', '-')}.png")
    raise typer.Exit(code=int(failed))


if __name__ == "__main__":
    typer.run(main)
