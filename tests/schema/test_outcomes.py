"""The outcomes of documents."""

from pipeline.schema.outcomes import STEPS, Outcome


def test_the_report_has_a_step_for_every_outcome_but_kept() -> None:
    assert set(Outcome) - set(STEPS) == {Outcome.KEPT}
