"""What may be set: what breaks a rule is told in a sentence, and what is taken is one value of one
line, whatever is in it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib import engines
from chalicelib.engines.engine import Part
from chalicelib.engines.parameter import LONGEST_VALUE, MOST_VALUES, Kind
from chalicelib.engines.parameters import check, effective, parameters
from guest_agent.datastores.layers import HEAD
from guest_agent.datastores.mariadb import configuration as mariadb
from guest_agent.datastores.postgresql import configuration as postgresql
from guest_agent.datastores.redis import configuration as redis

SERIES: Final = (("mariadb", "10.11"), ("mysqld", "9.7"), ("postgresql", "15"), ("redis", "7.0"))
EVERY: Final = pytest.mark.parametrize(("manager", "version"), SERIES)
NEVER: Final = {
    *("secure_file_priv", "bind_address", "port", "socket", "datadir", "tmpdir", "plugin_dir"),
    *("plugin_load", "plugin_load_add", "log_error", "general_log_file", "slow_query_log_file"),
    *("init_file", "local_infile", "skip_name_resolve", "skip_grant_tables", "pid_file"),
    *("persisted_globals_load", "mysqlx", "basedir", "read_only", "super_read_only", "log_bin"),
    *("mandatory_roles", "authentication_policy", "partial_revokes", "require_secure_transport"),
    *("admin_address", "innodb_directories", "innodb_doublewrite", "innodb_force_recovery"),
    *("hba_file", "ident_file", "data_directory", "config_file", "archive_command", "port"),
    *("restore_command", "shared_preload_libraries", "session_preload_libraries", "include_dir"),
    *("local_preload_libraries", "dynamic_library_path", "listen_addresses", "log_directory"),
    *("unix_socket_directories", "ssl_key_file", "password_encryption", "fsync", "log_statement"),
    *("superuser_reserved_connections", "archive_library", "recovery_end_command"),
    *("aclfile", "dir", "dbfilename", "appendfilename", "bind", "unixsocket", "logfile", "include"),
    *("loadmodule", "requirepass", "protected-mode", "enable-debug-command", "daemonize"),
    *("enable-module-command", "enable-protected-configs", "rename-command", "appendonly"),
    *("replicaof", "masterauth", "sanitize-dump-payload", "acl-pubsub-default"),
}


class Refused(Exception):
    """What the caller of a check makes of a sentence."""


def checked(values: dict[str, Any], manager: str = "mariadb", version: str = "10.11") -> Any:
    return check(manager, version, values, Refused)


@EVERY
def test_what_is_fixed_for_safety_is_in_no_rule_file(manager: str, version: str) -> None:
    known = parameters(manager, version)
    assert len(known) > 40
    assert engines.can(manager, Part.CONFIGURATION)
    assert not NEVER & known.keys()
    assert all(name == name.lower() for name in known)


@EVERY
def test_every_rule_takes_its_default_and_its_bounds(manager: str, version: str) -> None:
    for name, rule in parameters(manager, version).items():
        taken = [rule.default] if rule.kind is Kind.BOOLEAN or rule.allowed else []
        if rule.kind in (Kind.INTEGER, Kind.FLOAT):
            assert rule.min is not None, name
            assert rule.max is not None, name
            taken += [rule.min, rule.max]
            for outside in (rule.min - rule.step, rule.max + rule.step, rule.max * 10 + 1):
                if not rule.min <= outside <= rule.max:  # a float may be too large to grow
                    with pytest.raises(Refused, match=name):
                        checked({name: outside}, manager, version)
        for value in taken:
            assert checked({name: value}, manager, version) == {name: value}


@EVERY
@pytest.mark.parametrize("ram", [64, 512, 4096, 1_000_000])
def test_what_we_choose_may_be_chosen(manager: str, version: str, ram: int) -> None:
    for volume_gib in (1, 10, 1000):
        ours = dict(engines.chosen_for(manager, ram, volume_gib))
        assert check(manager, version, ours, Refused) == ours
        assert effective(manager, version, ram, volume_gib, {}).items() >= ours.items()


@pytest.mark.parametrize("manager", ["mariadb", "mysqld"])
@pytest.mark.parametrize("volume_gib", [1, 3, 16, 1000])
def test_a_log_leaves_a_small_volume_to_the_data(manager: str, volume_gib: int) -> None:
    """A server of much memory may have a small volume, where MariaDB would not even begin."""
    engine = engines.ENGINES[manager]
    log, most = str(engine.log), engine.template(65_536)
    found = engine.chosen_for(65_536, volume_gib)
    assert int(found[log]) == min(int(most[log]), volume_gib * 1024**3 // 8)
    assert {**found, log: most[log]} == most


SENTENCES: Final = [
    ({"nope": 1}, "parameter nope is not supported for this datastore: mariadb 10.11."),
    ({"secure_file_priv": ""}, "parameter secure_file_priv is not supported"),
    ({"max_connections": "7"}, "parameter max_connections is not of type integer."),
    ({"max_connections": True}, "max_connections is not of type integer."),
    ({"max_connections": 7.0}, "max_connections is not of type integer."),
    ({"max_connections": None}, "max_connections is not of type integer."),
    ({"max_connections": 9}, "max_connections is less than the minimum allowed: 10"),
    ({"max_connections": 10**400}, "max_connections is greater than the maximum allowed: 16000"),
    ({"join_buffer_size": 1000}, "join_buffer_size is not a multiple of 128"),
    ({"max_statement_time": float("nan")}, "max_statement_time is no number."),
    ({"userstat": "ON"}, "userstat is not of type boolean."),
    ({"userstat": 2}, "userstat is not of type boolean."),
    ({"concurrent_insert": "x"}, "concurrent_insert is not one of: NEVER, AUTO, ALWAYS"),
    ({"sql_mode": "ANSI,x"}, "sql_mode is not one of: "),
    ({"init_connect": "a\nb"}, "init_connect has a control character in it."),
    ({"init_connect": "\ud800"}, "init_connect has a control character in it."),
    ({"init_connect": "é" * 513}, f"init_connect has more than {LONGEST_VALUE} bytes."),
    ({"character_set_server": "latin1"}, "collation_server are set together."),
    ({"character_set_server": "x", "collation_server": "y"}, "no character set 'x'"),
    ({"MAX_connections": 11, "max_connections": 12}, "max_connections is given twice."),
    ({f"x{each}": 1 for each in range(MOST_VALUES + 1)}, f"at most {MOST_VALUES} values."),
]


@pytest.mark.parametrize(("values", "told"), SENTENCES, ids=lambda each: str(each)[:40])
def test_what_breaks_a_rule_is_told_with_the_name_of_the_parameter(
    values: dict[str, Any], told: str
) -> None:
    with pytest.raises(Refused) as refused:
        checked(values)
    assert told in str(refused.value)


def test_a_version_without_rules_has_no_configuration() -> None:
    assert not parameters("mariadb", "11.4.2")
    assert not parameters("mysql", "any")
    with pytest.raises(Refused, match="not supported for this datastore: mysql"):
        checked({"max_connections": 12}, "mysql", "8.0")
    assert parameters("mysql", "10.11") == parameters("mariadb", "10.11.18-MariaDB")


def test_names_and_words_are_taken_as_the_engine_writes_them() -> None:
    values = {"MAX_Connections": 12, "sql_mode": "ansi, Traditional", "userstat": 1}
    values |= {"max_statement_time": 3, "event_scheduler": "on"}
    found = checked(values)
    assert found == {
        "max_connections": 12,
        "sql_mode": "ANSI,TRADITIONAL",
        "userstat": True,
        "max_statement_time": 3.0,
        "event_scheduler": "ON",
    }
    assert checked(found) == found
    assert checked({"sql_mode": ""}) == {"sql_mode": ""}


@pytest.mark.parametrize("manager", ["mariadb", "mysqld"])
def test_a_word_is_the_same_as_the_words_that_the_engine_tells_with_it(manager: str) -> None:
    rule = parameters(manager, dict(SERIES)[manager])["sql_mode"]
    told = "REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,IGNORE_SPACE"
    told += ",ONLY_FULL_GROUP_BY" * (manager == "mysqld")
    assert rule.same("ANSI", f"{told},ANSI")
    assert rule.same("ansi,ANSI_QUOTES", f"ANSI,{told}")
    assert not rule.same("ANSI", told)
    assert not rule.same("ANSI", f"{told},ANSI,NO_ZERO_DATE")


ODD: Final = st.text(
    st.sampled_from("aZ0 '\"\\`%$#;[]!{}=,\n\r\0é日😀") | st.characters(), max_size=60
)
TEXTS: Final = [
    (manager, version, name)
    for manager, version in SERIES
    for name, rule in parameters(manager, version).items()
    if rule.kind is Kind.STRING and not rule.name.endswith("_server")
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TEXTS), ODD)
@example(("mariadb", "10.11", "init_connect"), 'x" [mysqld]')
@example(("mariadb", "10.11", "init_connect"), "back\\")
@example(("postgresql", "15", "search_path"), "\\'; include '/etc/passwd")
@example(("postgresql", "15", "search_path"), "x" * 10_000)
def test_a_text_is_refused_or_one_quoted_word_of_one_line(
    parameter: tuple[str, str, str], text: str
) -> None:
    manager, version, name = parameter
    try:
        found = check(manager, version, {name: text}, Refused)
    except Refused:
        return
    of_engine = {"mariadb": mariadb, "mysqld": mariadb, "postgresql": postgresql, "redis": redis}[
        manager
    ]
    lines = of_engine.render_layer(found).removeprefix(HEAD).splitlines()
    own = [line for line in lines if line not in ("[mariadbd]", f'{name} ""')]
    assert len(own) <= 1
    if own:
        quote = "'" if manager == "postgresql" else '"'
        _, _, word = own[0].partition(" " if manager == "redis" else " = ")
        assert own[0].startswith(name)
        assert word[0] == word[-1] == quote
        inside = word[1:-1].replace("\\\\", "").replace("''" if quote == "'" else '\\"', "")
        assert quote not in inside
        assert len(own[0].encode()) < 4096, "MariaDB reads no longer line as one"


@settings(max_examples=15, deadline=None)
@given(ODD)
@example("\\\"'#;!include x \\s\\n")
@example('"')
@example("é" * 512)
def test_an_option_file_says_what_was_meant_to_mariadbs_own_reader(text: str) -> None:
    try:
        found = checked({"init_connect": text, "max_connections": 44})
    except Refused:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MYSQL_HOME", raising=False)
        done = subprocess.run(
            ["my_print_defaults", "--defaults-file=/dev/stdin", "mariadbd", "mysqld", "include"],
            input=mariadb.render_layer(found).encode(),
            capture_output=True,
            timeout=60,
            check=True,
        )
    assert done.stdout.decode() == f"--init_connect={text}\n--max_connections=44\n"


def test_rule_files_are_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for manager, version in SERIES:
        assert parameters(manager, version)
