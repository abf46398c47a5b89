"""What the code says of MariaDB is what the installed server says of itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from chalicelib.engines import mariadb_charsets as charsets

QUERY = """SELECT CONCAT(CHARACTER_SET_NAME, ' ', COLLATION_NAME)
FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY INTO OUTFILE '{file}';
"""


@pytest.mark.database
def test_character_sets_and_collations_are_those_of_the_server(tmp_path: Path) -> None:
    """In its bootstrap mode the server runs one script, without a network or accounts."""
    data = tmp_path / "data"
    data.mkdir()
    said = tmp_path / "collations"
    subprocess.run(
        [
            *("/usr/sbin/mariadbd", "--no-defaults", "--bootstrap", "--user=root"),
            *(f"--datadir={data}", f"--tmpdir={tmp_path}"),
        ],
        input=QUERY.format(file=said).encode(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    of_the_server: dict[str, set[str]] = {}
    for line in said.read_text().splitlines():
        charset, _, collation = line.partition(" ")
        of_the_server.setdefault(charset, set()).add(collation)
    assert of_the_server == {name: set(known) for name, known in charsets.COLLATIONS.items()}


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("UTF8MB4_General_CI", "utf8mb4_general_ci"),
        ("utf8_general_ci", "utf8mb3_general_ci"),
        ("uca1400_ai_ci", "uca1400_ai_ci"),
        ("utf8mb4_uca1400_as_cs", "utf8mb4_uca1400_as_cs"),
        ("utf8mb4_0900_ai_ci", None),
        ("latin1_uca1400_ai_ci", None),
        ("utf8mb4", None),
        ("", None),
    ],
)
def test_a_collation_is_known_by_its_names(written: str, known: str | None) -> None:
    assert charsets.collation(written) == known


@pytest.mark.parametrize(
    ("charset", "collation", "fits"),
    [
        ("utf8mb4", "utf8mb4_bin", True),
        ("utf8mb4", "uca1400_ai_ci", True),
        ("utf8mb4", "utf8mb4_uca1400_ai_ci", True),
        ("utf8mb3", "utf8mb4_uca1400_ai_ci", False),
        ("latin1", "utf8mb4_bin", False),
        ("latin1", "uca1400_ai_ci", False),
        ("binary", "binary", True),
    ],
)
def test_a_collation_belongs_to_its_character_set(charset: str, collation: str, fits: bool) -> None:
    assert charsets.fit(charset, collation) is fits
