"""Tables of the command line."""

import pytest

from pipeline.cli.tables import print_table


def test_a_table_in_a_log_is_aligned_and_nothing_of_it_is_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["language", "documents", *(f"a name of twenty letters {number}" for number in range(9))]
    rows = [["tur_Latn", "7", *"123456789"], ["zho_Hani", "1,000", *"123456789"]]
    print_table("Title", names, rows, ["all", "1,007", *"123456789"])
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.strip() == "Title"
    assert [line[: len("  language   documents")] for line in lines] == [
        "  language   documents",
        "  tur_Latn           7",
        "  zho_Hani       1,000",
        "  all            1,007",
    ]
    assert len({len(line) for line in lines}) == 1
