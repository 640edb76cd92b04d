"""`maul alerts`: files where they are wanted, nobody's work overwritten, and one message for what is wrong."""

from pathlib import Path

from maul.cli.main import run
from maul.core.errors import ExitCode

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples/sites/three-racks.yaml"
NAMES = ["RUNBOOK-vip-black-holed.md", "vip-black-holed.rules.yaml", "vip-black-holed.test.yaml"]


def test_the_files_and_what_is_left_to_check(tmp_path, capsys):
    out = tmp_path / "new" / "alerts"
    assert run(["alerts", str(EXAMPLE), "--out", str(out)]) == ExitCode.PASS
    told = capsys.readouterr()
    assert sorted(path.name for path in out.iterdir()) == NAMES
    assert sorted(told.out.split()) == [str(out / name) for name in NAMES]
    assert "PLACEHOLDER: there is no control address" in " ".join(told.err.split())


def test_what_somebody_filled_in_stays(tmp_path, capsys):
    words = ["alerts", str(EXAMPLE), "--out", str(tmp_path)]
    assert run(words) == ExitCode.PASS
    assert run(words) == ExitCode.PASS, "the same again changes nothing"
    book = tmp_path / NAMES[0]
    book.write_text("ours")
    capsys.readouterr()
    assert run(words) == ExitCode.USAGE
    assert "RUNBOOK-vip-black-holed.md would change" in capsys.readouterr().err
    assert book.read_text() == "ours"
    assert run([*words, "--force"]) == ExitCode.PASS
    assert book.read_text().startswith("# s3 is black-holed upstream")


def test_contacts_of_a_permit_are_whom_to_call(tmp_path, capsys):
    assert run(["alerts", str(EXAMPLE), "--out", str(tmp_path), "--permit", str(tmp_path / "none.yaml")]) != 0
    assert "none.yaml" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(["alerts", str(EXAMPLE), "--out", str(tmp_path / "file")]) == ExitCode.ENVIRONMENT
    err = capsys.readouterr().err
    assert err.startswith("maul: ")
    assert "Traceback" not in err


def test_no_such_site(tmp_path, capsys):
    assert run(["alerts", str(tmp_path / "none.yaml")]) == ExitCode.USAGE
    assert "none.yaml" in capsys.readouterr().err
