"""Porter's stemmer for English (Porter, 1980), with the extensions that NLTK documents as its NLTK_EXTENSIONS mode.

The shape of a word is a string of "c" (consonant) and "v" (vowel), one for each letter. Its measure m, the number of
times that consonants follow vowels, decides whether a suffix may go: m("tree") = 0, m("trouble") = 1, m("private") = 2.
"""

from collections.abc import Sequence

Rules = Sequence[tuple[str, str]]

# fmt: off
IRREGULAR = {
    "sky": "sky", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news",
    "innings": "inning", "inning": "inning", "outings": "outing", "outing": "outing",
    "cannings": "canning", "canning": "canning", "howe": "howe",
    "proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}
STEP_2: Rules = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"),
    ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"), ("ator", "ate"),
    ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"),
    ("biliti", "ble"), ("fulli", "ful"),
)
STEP_3: Rules = (
    ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""),
)
STEP_4 = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
)
# fmt: on


def stem(word: str) -> str:
    """The stem of a word, in lower case."""
    word = word.lower()
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) <= 2:
        return word
    word = _past_and_participle(_plural(word))
    word = _final_y(word)
    word = _longer_suffix(word)
    word = _replaced(word, STEP_3)
    return _final_ll(_final_e(_last_suffix(word)))


def shape(word: str) -> str:
    """A "c" or "v" for each letter; y is a vowel after a consonant."""
    kinds = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and kinds.endswith("c"))
        kinds += "v" if vowel else "c"
    return kinds


def measure(word: str) -> int:
    """How often consonants follow vowels."""
    return shape(word).count("vc")


def _plural(word: str) -> str:
    """Step 1a."""
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past_and_participle(word: str) -> str:
    """Step 1b."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if measure(word[:-3]) else word
    for suffix in ("ed", "ing"):
        left = word.removesuffix(suffix)
        if left != word and "v" in shape(left):
            return _mended(left)
    return word


def _mended(left: str) -> str:
    """What stands before -ed or -ing as a word of its own: hop(p), siz(e)."""
    if left.endswith(("at", "bl", "iz")):
        return left + "e"
    if left[-1:] == left[-2:-1] and shape(left).endswith("c"):
        return left if left.endswith(("l", "s", "z")) else left[:-1]
    return left + "e" if measure(left) == 1 and _ends_short(left) else left


def _final_y(word: str) -> str:
    """Step 1c: after a consonant that does not begin the word."""
    left = word[:-1]
    return left + "i" if word.endswith("y") and len(left) > 1 and shape(left).endswith("c") else word


def _longer_suffix(word: str) -> str:
    """Step 2."""
    if word.endswith("alli"):
        return _longer_suffix(word[:-2]) if measure(word[:-4]) else word
    if word.endswith("logi"):
        return word[:-1] if measure(word[:-3]) else word
    return _replaced(word, STEP_2)


def _replaced(word: str, rules: Rules) -> str:
    """The word by the first rule whose suffix it has, if anything to speak of stands before that."""
    for suffix, instead in rules:
        if word.endswith(suffix):
            left = word.removesuffix(suffix)
            return left + instead if measure(left) else word
    return word


def _last_suffix(word: str) -> str:
    """Step 4."""
    for suffix in STEP_4:
        left = word.removesuffix(suffix)
        if left != word and (suffix != "ion" or left.endswith(("s", "t"))):
            return left if measure(left) > 1 else word
    return word


def _final_e(word: str) -> str:
    """Step 5a."""
    left = word.removesuffix("e")
    if left == word:
        return word
    size = measure(left)
    return left if size > 1 or (size == 1 and not _ends_short(left)) else word


def _final_ll(word: str) -> str:
    """Step 5b."""
    return word[:-1] if word.endswith("ll") and measure(word[:-1]) > 1 else word


def _ends_short(word: str) -> bool:
    """Whether it ends in consonant, vowel, consonant other than w, x, y; or is a vowel and a consonant."""
    kinds = shape(word)
    return (kinds.endswith("cvc") and word[-1] not in "wxy") or kinds == "vc"
