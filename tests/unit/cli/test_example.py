"""The example mesh is written whole, is clean, and never over something else."""

from pathlib import Path

from click.testing import CliRunner

from nodemesh.cli.main import cli


def test_the_example_is_written_and_lint_finds_nothing(tmp_path):
    folder = str(tmp_path / "mesh")
    done = CliRunner().invoke(cli, ["example", folder])
    assert done.exit_code == 0 and "backends.py" in done.output
    assert CliRunner().invoke(cli, ["lint", folder]).stdout == ""
    assert "](" not in Path(folder, "README.md").read_text()  # nothing of the repository is beside it


def test_what_is_there_is_left_alone(tmp_path):
    (tmp_path / "mine.yaml").write_text("")
    done = CliRunner().invoke(cli, ["example", str(tmp_path)])
    assert done.exit_code == 1 and "is there already" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
    done = CliRunner().invoke(cli, ["example", "/proc/nowhere/mesh"])
    assert done.exit_code == 1 and "cannot be written" in str(done.exception)
