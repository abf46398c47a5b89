"""The character sets of MariaDB 10.11 and their collations; a test asks the server for them."""

from __future__ import annotations

from typing import Final

_BASIC: Final = "bin general_ci general_nopad_ci nopad_bin"
_LANGUAGES: Final = (
    "croatian czech danish esperanto estonian german2 hungarian icelandic latvian lithuanian "
    "persian polish roman romanian sinhala slovak slovenian spanish spanish2 swedish turkish "
    "vietnamese"
)
_UNICODE: Final = (
    f"{_BASIC} {' '.join(f'{language}_ci' for language in _LANGUAGES.split())} "
    "croatian_mysql561_ci myanmar_ci thai_520_w2 "
    "unicode_520_ci unicode_520_nopad_ci unicode_ci unicode_nopad_ci"
)
_FREE: Final = frozenset(
    f"uca1400_{language}{padding}{accents}_{case}"
    for language in ("", *(f"{each}_" for each in _LANGUAGES.split()))
    for padding in ("", "nopad_")
    for accents in ("ai", "as")
    for case in ("ci", "cs")
)
"""Collations that fit each of the `_WIDE` character sets, and may be written behind their names."""

_WIDE: Final = frozenset({"ucs2", "utf16", "utf32", "utf8mb3", "utf8mb4"})
_ENDINGS: Final = {
    **dict.fromkeys(("armscii8", "ascii", "cp1256", "cp850", "cp852", "cp866"), _BASIC),
    **dict.fromkeys(("geostd8", "greek", "hebrew", "keybcs2", "koi8r", "koi8u"), _BASIC),
    **dict.fromkeys(("macce", "macroman", "utf16le"), _BASIC),
    **dict.fromkeys(("utf16", "utf32", "utf8mb4"), _UNICODE),
    **dict.fromkeys(("ucs2", "utf8mb3"), f"{_UNICODE} general_mysql500_ci"),
    **dict.fromkeys(
        ("cp932", "eucjpms", "sjis", "ujis"), "bin japanese_ci japanese_nopad_ci nopad_bin"
    ),
    **dict.fromkeys(("big5", "gb2312", "gbk"), "bin chinese_ci chinese_nopad_ci nopad_bin"),
    **dict.fromkeys(("dec8", "swe7"), "bin nopad_bin swedish_ci swedish_nopad_ci"),
    "cp1250": f"{_BASIC} croatian_ci czech_cs polish_ci",
    "cp1251": f"{_BASIC} bulgarian_ci general_cs ukrainian_ci",
    "cp1257": f"{_BASIC} lithuanian_ci",
    "euckr": "bin korean_ci korean_nopad_ci nopad_bin",
    "hp8": "bin english_ci english_nopad_ci nopad_bin",
    "latin1": (
        "bin danish_ci general_ci general_cs german1_ci german2_ci nopad_bin spanish_ci swedish_ci "
        "swedish_nopad_ci"
    ),
    "latin2": f"{_BASIC} croatian_ci czech_cs hungarian_ci",
    "latin5": "bin nopad_bin turkish_ci turkish_nopad_ci",
    "latin7": f"{_BASIC} estonian_cs general_cs",
    "tis620": "bin nopad_bin thai_ci thai_nopad_ci",
}
COLLATIONS: Final[dict[str, frozenset[str]]] = {
    "binary": frozenset({"binary"}),
    **{
        name: frozenset(f"{name}_{ending}" for ending in endings.split())
        | (_FREE if name in _WIDE else frozenset())
        for name, endings in _ENDINGS.items()
    },
}
"""The collations of each character set, as `information_schema` names them."""


def character_set(name: str) -> str | None:
    """The character set of that name, or None; `utf8` is `utf8mb3` here."""
    name = name.lower()
    name = "utf8mb3" if name == "utf8" else name
    return name if name in COLLATIONS else None


def collation(name: str) -> str | None:
    """The collation of that name, as `COLLATIONS` has it, or None.

    `utf8_` stands for `utf8mb3_`, and a free one may have its character set in front.
    """
    name = name.lower()
    if name.startswith("utf8_"):
        name = name.replace("utf8_", "utf8mb3_", 1)
    return name if any(fit(charset, name) for charset in COLLATIONS) else None


def fit(charset: str, collate: str) -> bool:
    """Whether a known collation belongs to a known character set."""
    return collate in COLLATIONS[charset] or _is_full(collate, charset)


def _is_full(name: str, charset: str) -> bool:
    return charset in _WIDE and name.removeprefix(f"{charset}_") in _FREE and name not in _FREE
