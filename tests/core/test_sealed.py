"""Folders that are whole or not there: what is damaged is named, and a failure leaves what was there before."""

import json
import os

import pytest

from glue_harness.core.sealed import MARKER, damage_of, seal
from glue_harness.core.writing import json_text


def filled(folder):
    (folder / "inner").mkdir()
    (folder / "weights").write_bytes(bytes(range(200)))
    (folder / "inner" / "facts.json").write_text("{}")


@pytest.fixture
def sealed(tmp_path):
    seal(tmp_path / "kept" / "step", filled)
    return tmp_path / "kept" / "step"


def test_a_folder_as_it_was_written_is_whole(sealed):
    assert damage_of(sealed) is None
    marked = json.loads((sealed / MARKER).read_text())["sha256"]
    assert {*marked} == {"weights", "inner/facts.json"}
    assert marked["inner/facts.json"] == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of {}


@pytest.mark.parametrize("name", ["weights", "inner/facts.json"])
def test_one_changed_bit_is_found_in_every_file(sealed, name):
    content = bytearray((sealed / name).read_bytes())
    content[-1] ^= 1
    (sealed / name).write_bytes(content)
    assert damage_of(sealed) == f"{name} is damaged: its checksum is not the one it was written with"
    (sealed / name).unlink()
    assert damage_of(sealed) == f"{name}: No such file or directory"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": 1}', "no json"])
def test_a_marker_that_says_nothing_is_damage(sealed, text):
    (sealed / MARKER).write_text(text)
    assert damage_of(sealed) == "its 'complete' is damaged"
    (sealed / MARKER).unlink()
    assert damage_of(sealed) == "it is not complete"


def test_a_failure_leaves_what_was_there_and_no_draft(sealed):
    def fails(folder):
        (folder / "half").write_bytes(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        seal(sealed, fails)
    assert damage_of(sealed) is None
    assert os.listdir(sealed.parent) == ["step"]


def test_a_folder_is_replaced_as_a_whole(sealed):
    seal(sealed, lambda folder: (folder / "other").write_bytes(b"new"))
    assert {*os.listdir(sealed)} == {"other", MARKER}
    assert os.listdir(sealed.parent) == ["step"]
    assert damage_of(sealed) is None


def test_others_may_read_the_files_if_the_umask_says_so(tmp_path):
    def private(folder):
        (folder / "weights").touch(mode=0o600)

    seal(tmp_path / "step", private)
    assert (tmp_path / "step" / "weights").stat().st_mode == (tmp_path / "step" / MARKER).stat().st_mode


def test_json_has_null_where_a_number_is_not_finite():
    values = {"a": [1.5, float("nan")], "b": ({"c": float("-inf")}, None, True, 3), "d": "ü"}
    assert json.loads(json_text(values)) == {"a": [1.5, None], "b": [{"c": None}, None, True, 3], "d": "ü"}
    assert json_text(values).isascii()
