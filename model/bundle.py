"""What a trained model is on disk: a folder with weights, a manifest and a card.

``weights.safetensors`` holds the tensors of the networks ("coarse." and "fine." before their names, "fine2." and so on
for further members of an ensemble; stored as float16, used as float32) and the judge's numbers ("judge.", as they are).
``bundle.json`` says what they are, ``CARD.md`` says it to people. Nothing in a bundle is executed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as pack_tensors
from torch import Tensor

from model.judgement import Judge
from model.network import NetworkConfig, UNet

FORMAT: Final = 3
"""What is written. Format 1, one member and no judge, is read as well; 2 had a judge of another kind."""
MOST_MEMBERS: Final = 9
WEIGHTS: Final = "weights.safetensors"
MANIFEST: Final = "bundle.json"
CARD: Final = "CARD.md"
SHIPPED: Final = Path(__file__).parent / "weights"
DEFAULT_NAME: Final = "sixth"
NETWORKS: Final = ("coarse", "fine")

_PICKLES: Final = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"})


class BundleError(Exception):
    """The folder is no bundle that can be trusted; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How logits become decisions; chosen on held-out phantoms.

    Attributes
    ----------
    temperature
        A component's shares of the territories are raised to the power 1 / temperature.
    background_prior
        Weight of 'not calcium that is scored' against the vessels, where there is no judge; below 1 more is found.
    heart_volume_ml
        A localised heart smaller than this is none.

    """

    temperature: float = 1.0
    background_prior: float = 1.0
    heart_volume_ml: float = 120.0

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and self.background_prior > 0 and self.heart_volume_ml > 0):
            raise ValueError("temperature, background prior and heart volume are positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which model read a scan; goes into every report. ``sha256`` is of the weights and the limits beside them."""

    name: str
    version: str
    sha256: str
    trained_on: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelBundle:
    """Networks ready to use, and what is known about them.

    Attributes
    ----------
    coarse, fine
        Localiser and labeller, in evaluation mode on the CPU.
    more
        Further labellers of the same configuration; with ``fine`` they are the members of the ensemble.
    judge
        Says of a component how probably it is calcium; None in bundles that were never calibrated.
    released_for
        What the weights may be used for, in one sentence.
    experiment
        The whole training configuration, as plain values.

    """

    identity: Identity
    released_for: str
    calibration: Calibration
    experiment: Mapping[str, Any]
    coarse: UNet
    fine: UNet
    more: tuple[UNet, ...] = ()
    judge: Judge | None = None

    def __post_init__(self) -> None:
        if any(network.config != self.fine.config for network in self.more):
            raise ValueError("the members of an ensemble have one configuration")
        if len(self.members) > MOST_MEMBERS:
            raise ValueError(f"an ensemble has at most {MOST_MEMBERS} members, not {len(self.members)}")

    @property
    def members(self) -> tuple[UNet, ...]:
        """Every labeller, the first first."""
        return (self.fine, *self.more)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manifest:
    name: str
    version: str
    sha256: str
    trained_on: str
    released_for: str
    networks: Mapping[str, NetworkConfig]
    calibration: Calibration
    experiment: Mapping[str, Any]
    members: int
    judge: Mapping[str, Any] | None

    @classmethod
    def parse(cls, text: str) -> Self:
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise BundleError(f"{MANIFEST} is not JSON: {error}") from error
        found = values.get("format") if isinstance(values, dict) else None
        if not isinstance(values, dict) or found not in (1, FORMAT):
            raise BundleError(f"{MANIFEST} has format {found!r}; this program reads formats 1 and {FORMAT}")
        try:
            return cls(
                **{key: _text(values, key) for key in ("name", "version", "sha256", "trained_on", "released_for")},
                networks={name: NetworkConfig.from_dict(values["networks"][name]) for name in NETWORKS},
                calibration=Calibration(**values["calibration"]),
                experiment=dict(values["experiment"]),
                members=_members(values),
                judge=None if values.get("judge") is None else dict(values["judge"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{MANIFEST} is incomplete or wrong: {error!r}") from error


def _text(values: Mapping[str, Any], key: str) -> str:
    text = values[key]
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{key} must say something")
    return text


def _members(values: Mapping[str, Any]) -> int:
    count = values.get("members", 1)
    if not isinstance(count, int) or not 1 <= count <= MOST_MEMBERS:
        raise ValueError(f"members must be 1 to {MOST_MEMBERS}")
    return count


def default_bundle(name: str = DEFAULT_NAME) -> ModelBundle:
    """The bundle shipped in this package under a name; raises :class:`BundleError` if there is none."""
    return load_bundle(SHIPPED / name)


def load_bundle(folder: Path) -> ModelBundle:
    """Load and check a bundle.

    Raises
    ------
    BundleError
        A file is missing, weights are pickled, altered, not finite, or do not fit the networks; the judge is one by
        other features than this program's; or the manifest is of an unknown format, incomplete or not JSON.

    """
    if not folder.is_dir():
        raise BundleError(f"no bundle at {folder}")
    pickled = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in _PICKLES)
    if pickled:
        raise BundleError(f"pickled weights are never loaded, since loading them runs code: {', '.join(pickled)}")
    missing = [name for name in (WEIGHTS, MANIFEST, CARD) if not (folder / name).is_file()]
    if missing:
        raise BundleError(f"the bundle at {folder} lacks {', '.join(missing)}")
    try:
        manifest = _Manifest.parse((folder / MANIFEST).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise BundleError(f"{MANIFEST} is not UTF-8") from error
    packed = (folder / WEIGHTS).read_bytes()
    digest = hashlib.sha256(packed).hexdigest()
    if digest != manifest.sha256:
        raise BundleError(f"{WEIGHTS} is not the file the manifest describes (sha256 {digest[:12]}...)")
    tensors = _parse(packed)
    judge = _judge(manifest, {key: tensors.pop(key) for key in sorted(tensors) if key.startswith("judge.")})
    coarse = UNet(manifest.networks["coarse"]).eval()
    fine = [UNet(manifest.networks["fine"]).eval() for _ in range(manifest.members)]
    _fill(_by_name(coarse, fine), tensors)
    return ModelBundle(
        identity=Identity(
            name=manifest.name,
            version=manifest.version,
            sha256=_reads_as(manifest.sha256, manifest.calibration, judge),
            trained_on=manifest.trained_on,
        ),
        released_for=manifest.released_for,
        calibration=manifest.calibration,
        experiment=manifest.experiment,
        coarse=coarse,
        fine=fine[0],
        more=tuple(fine[1:]),
        judge=judge,
    )


def _by_name(coarse: UNet, fine: Sequence[UNet]) -> dict[str, UNet]:
    """The networks by the first part of their tensors' names."""
    later = {f"fine{number}": network for number, network in enumerate(fine[1:], start=2)}
    return {"coarse": coarse, "fine": fine[0], **later}


def _judge(manifest: _Manifest, tensors: Mapping[str, Tensor]) -> Judge | None:
    if manifest.judge is None and not tensors:
        return None
    try:
        arrays = {key.removeprefix("judge."): value.double().numpy() for key, value in tensors.items()}
        return Judge.of(manifest.judge or {}, arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the judge cannot be used: {error}") from error


def _parse(packed: bytes) -> dict[str, Tensor]:
    try:
        return parse_tensors(packed)
    except (SafetensorError, ValueError) as error:
        raise BundleError(f"{WEIGHTS} is not a safetensors file: {error}") from error


def _fill(networks: Mapping[str, UNet], tensors: Mapping[str, Tensor]) -> None:
    expected = {f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}
    absent, extra = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if absent or extra:
        raise BundleError(f"{WEIGHTS} lacks {len(absent)} tensors {absent[:3]} and has {len(extra)} more {extra[:3]}")
    for key, value in tensors.items():
        if value.shape != expected[key].shape:
            raise BundleError(f"{key} has shape {tuple(value.shape)}, not {tuple(expected[key].shape)}")
        if value.is_floating_point() != expected[key].is_floating_point():
            raise BundleError(f"{key} is {value.dtype}, not {expected[key].dtype}")
        if not torch.isfinite(value).all():
            raise BundleError(f"{key} holds values that are not finite")
    for name, network in networks.items():
        prefix = f"{name}."
        state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        network.load_state_dict(
            {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
        )


def write_bundle(folder: Path, bundle: ModelBundle, card: str) -> Identity:
    """Write a bundle as a new or overwritten folder; the hash in ``bundle.identity`` is ignored and made anew.

    Returns the identity that was written. Raises :class:`BundleError` if a weight does not survive float16.
    """
    tensors: dict[str, Tensor] = {}
    for name, network in _by_name(bundle.coarse, bundle.members).items():
        for key, value in network.state_dict().items():
            stored = value.detach().cpu()
            tensors[f"{name}.{key}"] = (stored.half() if stored.is_floating_point() else stored).contiguous()
            if not torch.isfinite(tensors[f"{name}.{key}"]).all():
                raise BundleError(f"{name}.{key} is not finite, or too large for float16")
    if bundle.judge is not None:
        tensors |= {f"judge.{key}": torch.from_numpy(value.copy()) for key, value in bundle.judge.arrays().items()}
    packed = pack_tensors(tensors)
    digest = hashlib.sha256(packed).hexdigest()
    manifest = {
        "format": FORMAT,
        **asdict(replace(bundle.identity, sha256=digest)),
        "released_for": bundle.released_for,
        "networks": {"coarse": bundle.coarse.config.as_dict(), "fine": bundle.fine.config.as_dict()},
        "members": len(bundle.members),
        "calibration": asdict(bundle.calibration),
        "judge": None if bundle.judge is None else bundle.judge.as_dict(),
        "experiment": dict(bundle.experiment),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(packed)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    (folder / CARD).write_text(card, encoding="utf-8")
    return replace(bundle.identity, sha256=_reads_as(digest, bundle.calibration, bundle.judge))


def _reads_as(weights_sha256: str, calibration: Calibration, judge: Judge | None) -> str:
    """Hash of all that decides a reading: another limit is another model, and its answers need UIDs of their own."""
    beside = {"calibration": asdict(calibration), "judge": None if judge is None else judge.as_dict()}
    return hashlib.sha256(f"{weights_sha256}\n{json.dumps(beside, sort_keys=True)}".encode()).hexdigest()
