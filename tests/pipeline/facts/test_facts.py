"""A fact that is declared once is in every table, file and column that it should be in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pipeline.archive.frame_notes import pack_notes, unpack_notes
from pipeline.archive.manifest import SCHEMA, FrameRow
from pipeline.facts import Fact, columns_of, facts_of
from pipeline.fidelity import FrameFidelity
from pipeline.sequence.records import FrameFacts, FrameRecord
from pipeline.sequence.sequence import write_results


@dataclass(frozen=True)
class Known:
    """Facts of all kinds."""

    error: Annotated[str | None, Fact(tables=("archive",))]
    state: Annotated[Literal["ok", "failed"], Fact("status", tables=("archive",))]
    took: Annotated[float | None, Fact("encoding time", "seconds", tables=("archive",))]
    error_m: Annotated[float, Fact("error", "length", tables=("archive", "report"))]
    time_ns: Annotated[int, Fact("time", scale=1e-9)]
    is_exact: bool
    figures: dict[str, Any] = field(default_factory=dict)


def test_fields_of_text_numbers_and_flags_are_facts():
    found = {fact.name: (fact.type, fact.heading) for fact in facts_of(Known)}
    assert found == {
        "error": (str, "error"),
        "state": (str, "status"),
        "took": (float, "encoding time [s]"),
        "error_m": (float, "error [m]"),
        "time_ns": (int, "time [s]"),
        "is_exact": (bool, "is exact"),
    }


def test_a_table_shows_text_then_figures_then_times_then_the_reason():
    shown = [fact.name for fact in columns_of("archive", facts_of(Known))]
    assert shown == ["state", "error_m", "took", "error"]
    assert [fact.name for fact in columns_of("report", facts_of(Known))] == ["error_m"]
    time = next(fact for fact in facts_of(Known) if fact.name == "time_ns")
    assert (time.shown(2_500_000_000), time.shown(None)) == (2.5, None)


def test_every_fact_of_a_record_is_in_the_csv_and_in_the_manifest(tmp_path):
    write_results(tmp_path, [FrameRecord("0", "failed", error="why")], {})
    head = (tmp_path / "metrics.csv").read_text().splitlines()[0].split(",")
    figures = {fact.name for fact in facts_of(FrameFidelity)}
    assert set(head) == {fact.name for fact in facts_of(FrameRecord)} | figures
    facts = {fact.name for fact in facts_of(FrameFacts)}
    # The manifest calls the size of the file bytes.
    assert set(SCHEMA.names) >= facts | figures - {"encoded_bytes"} | {"bytes"}


def test_notes_keep_the_facts_that_say_so():
    values = {
        fact.name: {str: "x", float: 1.5, int: 7, bool: True}[fact.type]
        for fact in facts_of(FrameRow)
    } | {"status": "failed", "number": 0}
    figures = {
        fact.name: fact.type(2) for fact in facts_of(FrameFidelity) if fact.name != "encoded_bytes"
    }
    (back,) = unpack_notes(pack_notes([FrameRow(**values, figures=figures)]), "notes")
    for fact in facts_of(FrameRow):
        if fact.in_notes:
            assert getattr(back, fact.name) == values[fact.name], fact.name
    kept = {fact.name for fact in facts_of(FrameFidelity) if fact.in_notes}
    assert back.figures == {name: figures[name] for name in kept}
