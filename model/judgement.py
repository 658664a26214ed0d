"""How probable it is that a bright component is calcium that is scored.

The networks say what calcium would be at a place, and are poor at saying whether a small bright spot is calcium at all:
noise reaches the threshold along a coronary's course too, and a small lesion is averaged away at 1 mm. So what they say
is weighed together with what can be measured of a component and of those that touch it in the neighbouring slices, by a
small network that was fitted on phantoms, and then with the other calcium of the scan. Where the networks say more for
calcium, or there is more of it, it never makes calcium less likely, which holds on scans that no phantom looks like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from model.company import Company, company
from model.odds import logistic

CHAMBERS: Final = ("left atrium", "left ventricle", "heart's fat")
"""What lies around a component tells calcium of the mitral annulus, between the first two, from the LCX in the fat."""

FEATURES: Final = (
    "over_background",
    "over_confuser",
    "best_pixel",
    "calcium_mean",
    "calcium_best",
    "disagreement",
    "log_area",
    "rise",
    "contrast",
    "noise",
    "support_high",
    "support_low",
    "fat",
    "lung",
    "bright",
    "in_heart",
    "in_aorta",
    "in_bone",
    "aortic",
    "valve",
    *(f"{what} {where}" for where in ("close", "near", "far") for what in CHAMBERS),
)
"""Name of every feature of a component. What each is: :mod:`model.evidence`."""

OF_NEIGHBOURS: Final = ("over_background", "over_confuser", "calcium_mean", "log_area", "contrast")
"""Features of which the highest among the components that touch in a neighbouring slice counts as well."""

INPUTS: Final = (*FEATURES, *(f"neighbour's {name}" for name in OF_NEIGHBOURS), "alone")

RISING: Final = frozenset(
    {
        "over_background",
        "over_confuser",
        "best_pixel",
        "calcium_mean",
        "calcium_best",
        "log_area",
        "support_high",
        "support_low",
    }
)
"""More of these never makes calcium less likely, be they a component's or its neighbour's.

A judge that is free in size and support fits phantoms better (log loss of 60 cases 556 against 633), and turns away a
third of the calcium in chest scans of 3 mm voxels, which no phantom looks like.
"""

KINDS: Final = ("coronary", "aortic")
"""Kinds of calcium that keep company. That of the valve does not: it says little of itself, and is one thing."""

_REACH: Final = 6.0  # standard deviations; nothing farther out was seen
_ARRAYS: Final = ("centre", "scale", "inner", "inner_bias", "outer")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judge:
    """A network of one hidden layer, monotone in what :data:`RISING` names (after Sill 1997, Monotonic Networks).

    Attributes
    ----------
    centre, scale
        float64 (inputs,): an input counts as ``(value - centre) / scale``, within six on either side, and as 0 where
        there is no neighbour to take it from.
    inner, inner_bias
        float64 (inputs, hidden) and (hidden,); hidden units are hyperbolic tangents.
    outer
        float64 (hidden,), not negative.
    bias
        Of the log-odds.
    company
        What other calcium of the same kind in the scan does to a component's probability, for some of :data:`KINDS`.
    accept_from, accept_aortic_from
        Components of at least this probability are scored; the second holds for the thoracic aorta, beside which lies
        bone. Below one half because fitted on phantoms full of look-alikes, which patients have fewer of.

    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    inner: NDArray[np.float64]
    inner_bias: NDArray[np.float64]
    outer: NDArray[np.float64]
    bias: float
    company: Mapping[str, Company] = field(default_factory=dict)
    accept_from: float = 0.4
    accept_aortic_from: float = 0.5

    def __post_init__(self) -> None:
        count, hidden = len(INPUTS), self.outer.size
        shapes = ((count,), (count,), (count, hidden), (hidden,), (hidden,))
        for name, shape in zip(_ARRAYS, shapes, strict=True):
            values = getattr(self, name)
            if values.shape != shape or not np.isfinite(values).all():
                raise ValueError(f"{name} needs {' x '.join(str(n) for n in shape)} finite numbers")
        if strange := sorted(self.company.keys() - set(KINDS)):
            raise ValueError(f"there is no company of the kind {', '.join(strange)}")
        if (
            not (self.scale > 0).all()
            or not np.isfinite(self.bias)
            or not 0 < self.accept_from < 1
            or not 0 < self.accept_aortic_from < 1
        ):
            raise ValueError("scales are positive, the bias is finite, accept_* lie between 0 and 1")
        wrong = [name for name, row in zip(INPUTS, self.inner, strict=True) if rises(name) and (row < 0).any()]
        if wrong or (self.outer < 0).any():
            raise ValueError(f"weights of the wrong sign: {', '.join(wrong) or 'outer'}")

    @classmethod
    def of(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float64]]) -> Self:
        """Build from :meth:`as_dict` and :meth:`arrays`; raises KeyError, TypeError or ValueError on anything else."""
        if list(values["inputs"]) != list(INPUTS):
            raise ValueError("it was fitted on other features than this program measures")
        if set(arrays) != set(_ARRAYS):
            raise ValueError(f"its arrays are {', '.join(sorted(arrays)) or 'missing'}")
        if not isinstance(values["company"], Mapping):
            raise TypeError("company is a table, a kind of calcium each")
        return cls(
            **arrays,
            bias=float(values["bias"]),
            company={str(kind): Company.of(ways) for kind, ways in values["company"].items()},
            accept_from=float(values["accept_from"]),
            accept_aortic_from=float(values["accept_aortic_from"]),
        )

    def as_dict(self) -> dict[str, Any]:
        """What is no array, as plain values for JSON."""
        return {
            "inputs": list(INPUTS),
            "bias": self.bias,
            "company": {kind: ways.as_dict() for kind, ways in self.company.items()},
            "accept_from": self.accept_from,
            "accept_aortic_from": self.accept_aortic_from,
        }

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """The arrays by name."""
        return {name: getattr(self, name) for name in _ARRAYS}

    def probability(self, features: NDArray[np.float64], touching: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probability (n,) of components, each with its neighbours.

        Parameters
        ----------
        features
            (n, len(FEATURES)).
        touching
            (2, m) pairs of components that touch in neighbouring slices, each pair once.

        """
        return in_company(self.company, self.of_inputs(inputs(features, touching)), features, touching)

    def of_inputs(self, seen: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability (n,) by inputs (n, len(INPUTS)), as :func:`inputs` makes them, each component by itself."""
        hidden = np.tanh(standard(seen, self.centre, self.scale) @ self.inner + self.inner_bias)
        return logistic(hidden @ self.outer + self.bias)


def in_company(
    ways: Mapping[str, Company],
    alone: NDArray[np.float64],
    features: NDArray[np.float64],
    touching: NDArray[np.int64],
    scan: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Probability (n,) of components by what each has by itself, ``alone`` (n,), and what else is in its scan.

    ``ways`` are those of some of :data:`KINDS`; ``scan`` is as in :func:`model.company.company`.
    """
    said = alone
    for kind, how in ways.items():
        mine = of_kind(kind, features)
        others = company(np.where(mine, alone, 0.0), area_mm2(features), touching, scan)
        said = how.weigh(said, others, mine)
    return said


def of_kind(kind: str, features: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the networks hold each component for one of a kind, bool (n,).

    "coronary": the coronaries together are likelier than valve or aorta; "aortic": the aorta is likelier than either.
    """
    aortic, valve = (features[:, FEATURES.index(name)] for name in ("aortic", "valve"))
    coronary = 1 - aortic - valve >= np.maximum(aortic, valve)
    return np.asarray(coronary if kind == "coronary" else ~coronary & (aortic >= valve))


def area_mm2(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area (n,) of each component."""
    return np.exp(features[:, FEATURES.index("log_area")])


def rises(name: str) -> bool:
    """Whether more of an input may never make calcium less likely."""
    return name.removeprefix("neighbour's ") in RISING


def inputs(features: NDArray[np.float64], touching: NDArray[np.int64]) -> NDArray[np.float64]:
    """What a judge sees (n, len(INPUTS)) of components with features (n, len(FEATURES)); NaN without a neighbour."""
    own = features[:, [FEATURES.index(name) for name in OF_NEIGHBOURS]]
    best = np.full(own.shape, -np.inf)
    for one, other in (touching, touching[::-1]):
        np.maximum.at(best, one, own[other])
    alone = np.isneginf(best[:, :1])
    return np.concatenate([features, np.where(alone, np.nan, best), alone.astype(np.float64)], axis=1)


def standard(
    values: NDArray[np.float64], centre: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Inputs (n, inputs) in standard deviations, within limits; 0 where nothing is known."""
    return np.asarray(np.nan_to_num((values - centre) / scale).clip(-_REACH, _REACH))
