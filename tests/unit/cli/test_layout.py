"""Tables in the room that there is."""

from nodemesh.cli.layout import Column, below, fitted, in_bytes, lay_out, minor, wrapped

SERVICES: list[Column | str] = ["SERVICE", "PORT", "PROTOCOL", minor("UPSTREAM"), "MODE", below("BECAUSE")]
ROWS: list[list[object]] = [
    ["reviews.bookinfo.svc.cluster.local", 9080, "HTTP", "http/1.1 (default)", "proxy",
     "VirtualService bookinfo/reviews has HTTP rules for it, and so has another one that says more than fits"],
    ["details.bookinfo.svc.cluster.local", 9080, "HTTP", "http/1.1 (default)", "kernel", ""],
]  # fmt: skip


def fits(lines: list[str], width: int) -> bool:
    return all(len(part) <= width for line in lines for part in line.split("\n"))


def test_without_a_width_each_row_is_one_line_with_all_it_has():
    lines = lay_out(SERVICES, ROWS)
    assert len(lines) == 3 and lines[0].split() == ["SERVICE", "PORT", "PROTOCOL", "UPSTREAM", "MODE", "BECAUSE"]
    assert "reviews.bookinfo.svc.cluster.local" in lines[1] and lines[1].endswith("that says more than fits")


def test_long_sentences_go_below_their_row_and_nothing_of_them_is_lost():
    lines = lay_out(SERVICES, ROWS, 80)
    assert fits(lines, 80) and "BECAUSE" not in lines[0] and "UPSTREAM" in lines[0]
    assert lines[1].startswith("reviews.bookinfo ") and lines[2].startswith("    because: VirtualService")
    assert " ".join(lines[2].split()).endswith(str(ROWS[0][5]))
    assert lines[3].startswith("details.bookinfo") and len(lines) == 4, "an empty cell takes no line"


def test_what_matters_less_is_left_out_and_named():
    lines = lay_out(SERVICES, ROWS, 48)
    assert fits(lines, 48) and "http/1.1" not in "".join(lines) and lines[-1] == "(-o wide: UPSTREAM)"
    assert "kernel" in lines[-2]


def test_a_table_that_fits_stays_as_it_is():
    assert lay_out(["A", minor("B"), below("C")], [["1", "", "3"]], 80) == ["A  B  C", "1     3"]


def test_columns_without_content_give_way_first():
    lines = lay_out(["NAME", "EMPTY BUT LONG", minor("LESS")], [["x" * 20, "", "kept"]], 30)
    assert lines == ["NAME                  LESS", "x" * 20 + "  kept"]


def test_what_is_still_too_wide_is_folded_at_the_widest_column():
    lines = lay_out(["NAME", "VALUE"], [["a" * 30, "some words that go on for long"]], 40)
    assert fits(lines, 40) and "".join(lines[1:]).count("a") - "some words that go on".count("a") >= 30
    assert all(word in "".join(lines) for word in ("some", "words", "long"))


def test_no_cell_moves_the_cursor():
    assert "\x1b" not in lay_out(["A"], [["\x1b]0;title\x07"]])[1]


def test_paths_stay_whole_for_people_copy_them():
    path = "/a/long/path/to/a/folder-of-rules/" + "x" * 40 + ".yaml:12:3"
    assert wrapped(f"written at: {path}", "  ", 40) == f"  written at:\n    {path}"


def test_lines_that_go_on_stand_further_in():
    assert wrapped("one two three four five six seven eight nine ten", "  ", 40) == (
        "  one two three four five six seven\n    eight nine ten"
    )


def test_lines_that_do_not_fit_go_on_further_in():
    text = "=> route\n   to        90  outbound|80|v1  at a place whose name is long\n"
    assert fitted(text, 0) == text == fitted(text, 80)
    folded = "=> route\n   to        90  outbound|80|v1  at a\n     place whose name is long\n"
    assert fitted(text, 40) == folded
    assert fitted("ok       hooks: a and b and c and d and e and f", 40, " " * 9).split("\n")[1] == " " * 9 + "e and f"


def test_numbers_of_bytes_have_two_or_three_digits():
    assert [in_bytes(each) for each in (0, 999, 1000, 140_500, 1_879_762, 7 * 10**12)] == [
        "0 B", "999 B", "1.0 kB", "140 kB", "1.9 MB", "7.0 TB"
    ]  # fmt: skip
