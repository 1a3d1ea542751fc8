from nodemesh.config.printable import printable


def test_no_text_moves_the_cursor_or_ends_the_line():
    assert printable("a\x1b[2J\x9b1mb\n") == "a\\x1b[2J\\x9b1mb\\n" and printable("grüße…") == "grüße…"
    assert printable("\ud800") == "\\ud800" and printable(3) == "3"
