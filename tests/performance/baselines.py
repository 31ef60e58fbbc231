"""What needs no language model: TF-IDF with logistic regression, and the sentence that shares most words."""

import math
import re
from collections import Counter
from collections.abc import Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from tests.performance.real_data import bare

STRENGTHS = (0.1, 1.0, 10.0, 100.0)
"""Inverse regularisation of the logistic regression; validation chooses."""
SENTENCE = re.compile(r"[^.!?\n]+[.!?]*\s*")
LONGEST_ANSWER_WORDS = 10
EMPTY_WORDS = frozenset((
    "a", "an", "the", "of", "to", "in", "on", "at", "by", "for", "with", "from", "and", "or", "but", "is", "are",
    "was", "were", "be", "been", "did", "do", "does", "has", "have", "had", "it", "its", "he", "she", "his", "her",
    "they", "their", "them", "that", "this", "these", "those", "who", "what", "when", "where", "why", "how",
    "which", "as", "not", "no",
))  # fmt: skip


def tf_idf_classifier(train: Sequence[tuple[str, str]], validation: Sequence[tuple[str, str]]) -> Pipeline:
    """Words and pairs of words, weighted by TF-IDF, into a logistic regression; the better of a few strengths."""
    texts, labels = zip(*train, strict=True)
    held_texts, held_labels = zip(*validation, strict=True)
    best, best_score = None, -1.0
    for strength in STRENGTHS:
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=1)
        model = make_pipeline(words, LogisticRegression(C=strength, max_iter=1000)).fit(texts, labels)
        score = model.score(held_texts, held_labels)
        if score > best_score:
            best, best_score = model, score
    return best


def word_overlap_answer(question: str, context: str) -> str:
    """The longest run of words not asked with, in the sentence that shares most of the question's rare words."""
    sentences = [match.group() for match in SENTENCE.finditer(context)] or [context]
    counts = Counter(word for sentence in sentences for word in set(map(bare, sentence.split())))
    asked = {bare(word) for word in question.split()} - EMPTY_WORDS

    def shared(sentence: str) -> float:
        return sum(math.log(1 + len(sentences) / counts[word]) for word in asked & set(map(bare, sentence.split())))

    words = max(sentences, key=shared).split()
    runs: list[list[str]] = [[]]
    for word in words:
        if bare(word) in asked:
            runs.append([])
        else:
            runs[-1].append(word)
    return " ".join(max(runs, key=len)[:LONGEST_ANSWER_WORDS])
