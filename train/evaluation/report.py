"""EVALUATION.md with its plots, evaluation.csv, lesions.csv, readers.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from train.evaluation import sections
from train.evaluation.comparison import ablation, ablation_csv, comparison
from train.evaluation.lines import case_lines, lesion_lines
from train.evaluation.plots import write_plots
from train.evaluation.records import CaseRecord
from train.evaluation.summary import Summary, summarise

REPORT: Final = "EVALUATION.md"
_MANY: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the report says before its figures.

    Attributes
    ----------
    cases
        What was read, in words.
    readers
        What each reader is, by its name.
    command
        How the report is made again.
    synthetic
        Whether the cases are phantoms.

    """

    cases: str
    readers: Mapping[str, str]
    command: str
    synthetic: bool


def write_report(folder: Path, records: Sequence[CaseRecord], about: About) -> tuple[Summary, ...]:
    """Write everything; the first reader is reported in full, all of them in one table.

    Raises
    ------
    ValueError
        There are no records.

    """
    names = tuple(dict.fromkeys(record.reader for record in records))
    by_reader = {name: [record for record in records if record.reader == name] for name in names}
    summaries = tuple(summarise(name, by_reader[name]) for name in names)
    if not summaries:
        raise ValueError("there is nothing to report: no case was read")
    folder.mkdir(parents=True, exist_ok=True)
    main, ours = summaries[0], by_reader[names[0]]
    plots = write_plots(folder, ours, main)
    text = _text(about, summaries, ours, plots)
    for name, content in (
        (REPORT, text),
        ("evaluation.csv", case_lines(records)),
        ("lesions.csv", lesion_lines(records)),
        ("readers.csv", ablation_csv(summaries)),
    ):
        (folder / name).write_text(content, encoding="utf-8")
    return summaries


def _text(about: About, summaries: Sequence[Summary], records: Sequence[CaseRecord], plots: Mapping[str, Path]) -> str:
    main = summaries[0]
    parts = [f"# Evaluation of {main.reader}\n", _opening(about)]
    parts.append("## At a glance\n\n" + comparison(summaries))
    if len(summaries) >= _MANY:
        parts.append("## Readers compared\n\n" + ablation(summaries))
    if len(summaries) > 1:
        parts.append(f"All that follows is of {main.reader}.\n")
    parts += [
        "## Agreement of scores\n\n" + sections.agreement_section(main),
        "## Risk categories\n\nCases by true (row) and read (column) category.\n\n" + sections.category_section(main),
        "## Overlap\n\n" + sections.overlap_section(main),
        "## Lesions\n\n" + sections.lesion_section(records),
        "### By what they are called\n\n" + sections.confusion_section(records),
        "## False and missed calcium\n\n" + sections.false_section(main),
        "## What the reader says of itself\n\n" + sections.trust_section(main),
        "## Subgroups\n\n" + sections.subgroup_section(records),
        "## Cases read worst\n\n" + sections.worst_section(records),
        "## Plots\n\n" + "\n\n".join(f"![{title}]({path.name})" for title, path in plots.items()) + "\n",
        _METHODS,
    ]
    return "\n".join(parts)


def _opening(about: About) -> str:
    kind = (
        "Synthetic cases: they show whether the reader does what it was built to do, not how it reads patients.\n"
        if about.synthetic
        else "Cases supplied by a site, with the site's own labels as the truth.\n"
    )
    readers = "\n".join(f"- {name}: {what}" for name, what in about.readers.items())
    return (
        f"**Research use only.** {about.cases[0].upper()}{about.cases[1:]}. {kind}\n{readers}\n\n    {about.command}\n"
    )


_METHODS: Final = """\
## How these figures are made

- Truth and reading are both cut at the calcium threshold and by the area rule before anything is compared, and scored
  by the same code (agatston-1990). LM+LAD, CAC (LM, LAD, LCX, RCA) and AC (valve and thoracic aorta) are unions:
  mixing up vessels inside them costs nothing. The truth's components that the area rule drops count on neither side.
- Dice is of each case's voxels. A case empty on both sides is left out and counts as specificity; where only one side
  is empty Dice is 0, listed as missed or as false alarm. 'Where calcium is' leaves out false alarms. Pooled is over
  the voxels of all cases together.
- A lesion is a 3D 6-connected piece of one vessel. It is found (or real) if at least half of its voxels are of the
  same kind on the other side, coronary or aortic; its vessel is what most of them are called there. Sizes are the
  lesion's own Agatston score. A lesion of the reading by its own vessel counts in that vessel's 'real'.
- The false score is the coronary Agatston score of voxels that are no coronary calcium; the missed score that of
  coronary voxels which are not called coronary.
- Shares have Wilson's 95 % interval. Spearman's has a percentile bootstrap of 2,000 resamples of cases. ICC(2,1):
  two-way random effects, absolute agreement, single rating (Shrout & Fleiss 1979), interval by McGraw & Wong 1996.
  Bland-Altman: read less true; limits are 1.96 SD; plots show the 95 % intervals of bias and limits as bars (Bland &
  Altman 1999). The square root is used because errors grow with the score.
- Categories are 0 / 1-99 / 100-399 / >= 400 and 0 / 1-10 / 11-100 / 101-400 / > 400, from unrounded scores; kappa is
  Cohen's with linear and with quadratic weights (1968).
- A probability is right if at least half of its lesion is calcium of that vessel. Only lesions that were called are
  seen, so the curve says nothing of what was left out. Brier score and expected calibration error (ten bins) by
  lesion.
- Lesions of one patient are not independent; intervals of lesion figures are therefore too narrow.
- Noise is the standard deviation within the true aorta where it is known, else as the reader measured it.
"""
