"""One file under two names in the city's settings: told before anything is opened, in both languages. DESIGN §3."""

from pathlib import Path

import pytest

from offline_ledger.city.settings import read_city_settings
from offline_ledger.errors import SettingsInvalid

ALIKE = {
    'checkpoint = "ledger.db"': "files.database",
    'checkpoint = "./data/../ledger.db-wal"': "files.database",
    'database = "checkpoint"': "files.checkpoint",
    'ca_certificate = "server.crt"': "files.server_certificate",
    'server_key = "server.crt"': "files.server_certificate",
    'server_key = "keys/issuer.key"': "files.keys",
    'server_key = "keys/ca.key"': "files.keys",
    'checkpoint = "keys"': "files.keys",
    'checkpoint = "linked"': "files.database",
    'checkpoint = "city.toml"': "city.toml",
    'database = "city.toml"': "city.toml",
}


def told(folder: Path, line: str, language: str) -> tuple[str, ...]:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "ledger.db").write_bytes(b"")
    if not (folder / "linked").exists():
        (folder / "linked").symlink_to("ledger.db")
    file = folder / "city.toml"
    file.write_text(f'[city]\nid = "TH-40"\n\n[files]\n{line}\n')
    with pytest.raises(SettingsInvalid) as found:
        read_city_settings(file, language)
    return found.value.problems


@pytest.mark.parametrize("line", ALIKE)
def test_one_file_under_two_names_is_told(tmp_path: Path, line: str) -> None:
    problems = told(tmp_path, line, "en")
    named, other = f"files.{line.split()[0]}", ALIKE[line]
    assert len(problems) == 1, problems
    assert named in problems[0] and "file of its own" in problems[0]
    assert other in problems[0] or "this settings file" in problems[0]
    assert "แยกกัน" in told(tmp_path, line, "th")[0]


@pytest.mark.parametrize("line", ["", 'checkpoint = "/elsewhere/checkpoint"', 'keys = "ledger.keys"'])
def test_files_of_their_own_are_taken(tmp_path: Path, line: str) -> None:
    file = tmp_path / "city.toml"
    file.write_text(f'[city]\nid = "TH-40"\n\n[files]\n{line}\n')
    assert read_city_settings(file, "en").database == tmp_path / "ledger.db"
