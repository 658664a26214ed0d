"""What the README says about the settings is what they are."""

from __future__ import annotations

from pathlib import Path

from node.settings import Settings
from tests.settings_table import END, START, section_of, settings_table

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_setting_and_nothing_else():
    assert README.count(START) == README.count(END) == 1
    table, expected = section_of(README), settings_table()
    assert sorted(set(expected) - set(table)) == [], "run python -m tests.settings_table"
    assert table == expected


def test_the_table_has_a_row_for_every_part_with_its_default():
    rows = settings_table()
    for part in Settings.model_fields:
        assert any(row.startswith((f"| `{part}.", f"| `{part}[]")) for row in rows), part
    assert "| `scp.port` | `11112` | Port to listen on. |" in rows
    assert "| `eligibility.weights.order` | `0.3` | Instance numbers disagree with positions. |" in rows
    assert any(row.startswith("| `destinations[].name` | required |") for row in rows)
    assert len(rows) == len(set(rows))


def test_a_section_is_what_stands_between_its_marks():
    assert section_of(f"x\n{START}\n\n| a |\n\n{END}\ny\n") == ["| a |"]
    assert section_of("nothing") == []
