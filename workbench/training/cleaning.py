"""Cleans old books: typography as it is typed today, and passages left out that nobody should learn from."""

import re
import unicodedata

# Slurs of a century ago; a paragraph that holds one is left out as a whole.
SLURS = re.compile(
    r"""(?ix) \b (?: redskin s? | injun s? | squaw s? | papoose s? | mamm(?:y|ies) | negress (?:es)?
    | nigger \w* | dark(?:y|ies|ey|eys) | pi(?:ck|cc)anin+(?:y|ies) | blackamoor s? | massa | sambo
    | chinam[ae]n | japs? | half-breed s? | kaffir s?
    ) \b"""
)
# People of whom these books know little but ridicule and fear: a model this small would learn nothing else of them.
PEOPLE = re.compile(
    r"""(?ix) \b (?: negro (?:es)? | hottentot s? | g[yi]ps(?:y|ies|ying|ied) | jew (?:s|ess|ish)?
    | colou?red \s+ (?:man|men|woman|women|boys?|girls?|gals?|lady|ladies|people|folks?|persons?|fellow)
    | colou?red \s+ (?:cook|maid|porters?|waiters?|servants?)
    ) \b"""
)
# Speech held up to ridicule: one of these words shows it.
MOCKED_SPEECH = re.compile(r"(?i)(?<![\w'])(?:yo'|gwine|nuffin'?|chilluns?|velly|washee|lawsy)(?![\w'])")
# One of these alone may be French, a lair or a slip; two in a paragraph show the same.
DIALECT = re.compile(r"(?i)(?<![\w'])(?:dat|dis|dey|dem|dere|de|sah|suh|mah|allee|chile)(?![\w'])")
EDITORIAL = re.compile(
    r"(?i)\[\s*(?:illustration|frontispiece|ill\b|\*|transcriber|footnote|note\b)"
    r"|transcriber|project gutenberg|punctuation errors"
)

TYPOGRAPHY = str.maketrans({
    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"', "\u00ab": '"', "\u00bb": '"',
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u00b4": "'", "`": "'",
    "\u2014": "--", "\u2015": "--", "\u2013": "-", "\u2012": "-", "\u2010": "-", "\u2011": "-", "\u2212": "-",
    "\u2026": "...", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u00ad": "", "\ufeff": "", "\u200b": "",
    "\t": " ", "\r": "\n", "\f": "\n", "\u0153": "oe", "\u0152": "Oe",
})  # fmt: skip


def normalise(text: str) -> str:
    """Text as a person types it: straight quotes, "--" for a dash, no emphasis marks, one blank line after a paragraph.

    An editor's short gloss in square brackets is taken out too. The corpora mix typographic and typewriter marks, and
    prompts are typed with the latter; a small model should not spend its capacity on the difference. Nothing else is
    changed: letters, accents and line breaks in verse stay.
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).translate(TYPOGRAPHY)
    text = re.sub(r"(?<!\w)_([^_\n]+)_(?!\w)", r"\1", text)
    text = re.sub(r" ?\[(?!\*)[^\]\n]{1,80}\]", "", text)
    text = re.sub(r" {2,}", " ", text)
    text = re.sub(r" *\n *", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def drop_passages(text: str) -> tuple[str, int]:
    """The text without the paragraphs that hold a slur, mocked speech or an editor's note; and how many those were."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    kept = [paragraph for paragraph in paragraphs if not _unwanted(paragraph)]
    return "\n\n".join(kept) + ("\n" if kept else ""), len(paragraphs) - len(kept)


def _unwanted(paragraph: str) -> bool:
    """Whether a paragraph is one to leave out."""
    if any(pattern.search(paragraph) for pattern in (SLURS, PEOPLE, MOCKED_SPEECH, EDITORIAL)):
        return True
    return len(DIALECT.findall(paragraph)) >= 2
