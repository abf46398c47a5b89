"""The character sets of MySQL 9.7, which are those of 8.0, and their collations; a test asks the
server for them."""

from __future__ import annotations

from typing import Final

_BASIC: Final = "bin general_ci"
_UNICODE: Final = (
    f"{_BASIC} croatian_ci czech_ci danish_ci esperanto_ci estonian_ci german2_ci hungarian_ci "
    "icelandic_ci latvian_ci lithuanian_ci persian_ci polish_ci roman_ci romanian_ci sinhala_ci "
    "slovak_ci slovenian_ci spanish2_ci spanish_ci swedish_ci turkish_ci unicode_520_ci unicode_ci "
    "vietnamese_ci"
)
_LANGUAGES: Final = (
    "bg bs cs da de_pb eo es es_trad et gl hr hu is la lt lv mn_cyrl nb nn pl ro ru sk sl sr_latn "
    "sv tr vi"
)
_UCA_9: Final = " ".join(
    (
        *("0900_ai_ci", "0900_as_ci", "0900_as_cs", "0900_bin"),
        *(f"{each}_0900_{kind}" for each in _LANGUAGES.split() for kind in ("ai_ci", "as_cs")),
        *("ja_0900_as_cs", "ja_0900_as_cs_ks", "zh_0900_as_cs"),
    )
)
_ENDINGS: Final = {
    **dict.fromkeys(("armscii8", "ascii", "cp1256", "cp850", "cp852", "cp866"), _BASIC),
    **dict.fromkeys(("geostd8", "greek", "hebrew", "keybcs2", "koi8r", "koi8u"), _BASIC),
    **dict.fromkeys(("macce", "macroman", "utf16le"), _BASIC),
    **dict.fromkeys(("utf16", "utf32"), _UNICODE),
    "utf8mb4": f"{_UNICODE} {_UCA_9}",
    "utf8mb3": f"{_UNICODE} general_mysql500_ci tolower_ci",
    "ucs2": f"{_UNICODE} general_mysql500_ci",
    **dict.fromkeys(("cp932", "eucjpms", "sjis", "ujis"), "bin japanese_ci"),
    **dict.fromkeys(("big5", "gb2312", "gbk"), "bin chinese_ci"),
    **dict.fromkeys(("dec8", "swe7"), "bin swedish_ci"),
    "cp1250": f"{_BASIC} croatian_ci czech_cs polish_ci",
    "cp1251": f"{_BASIC} bulgarian_ci general_cs ukrainian_ci",
    "cp1257": f"{_BASIC} lithuanian_ci",
    "euckr": "bin korean_ci",
    "gb18030": "bin chinese_ci unicode_520_ci",
    "hp8": "bin english_ci",
    "latin1": "bin danish_ci general_ci general_cs german1_ci german2_ci spanish_ci swedish_ci",
    "latin2": f"{_BASIC} croatian_ci czech_cs hungarian_ci",
    "latin5": "bin turkish_ci",
    "latin7": f"{_BASIC} estonian_cs general_cs",
    "tis620": "bin thai_ci",
}
COLLATIONS: Final[dict[str, frozenset[str]]] = {
    "binary": frozenset({"binary"}),
    **{
        name: frozenset(f"{name}_{ending}" for ending in endings.split())
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
    """The collation of that name, or None; `utf8_` stands for `utf8mb3_`."""
    name = name.lower()
    if name.startswith("utf8_"):
        name = name.replace("utf8_", "utf8mb3_", 1)
    return name if any(name in known for known in COLLATIONS.values()) else None


def fit(charset: str, collate: str) -> bool:
    """Whether a known collation belongs to a known character set."""
    return collate in COLLATIONS[charset]
