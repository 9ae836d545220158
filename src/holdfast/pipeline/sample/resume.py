"""One résumé: an order of sections, filled line by line."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.sample import skills, templates
from holdfast.pipeline.sample.vocabulary import Vocabulary

#: A document has this many words, punctuation among them.
SHORTEST, LONGEST = 60, 140

_SLOT = re.compile(r"\{(\w+)\}")
_SEPARATORS = (", ", ", ", "; ", " | ", " / ", "\n")


@dataclass(frozen=True)
class _Piece:
    text: str
    label: str | None = None


class _Writer:
    """Fills templates for one person."""

    def __init__(self, vocabulary: Vocabulary, rng: random.Random) -> None:
        self._rng = rng
        name = vocabulary.name()
        other = vocabulary.name()
        v = vocabulary
        self._entities: Mapping[str, tuple[str, Callable[[], str]]] = {
            "NAME": ("NAME", lambda: name),
            "OTHER": ("NAME", lambda: other),
            "EMAIL": ("EMAIL", lambda: v.email(name)),
            "EMAIL_OTHER": ("EMAIL", lambda: v.email(other)),
            "PHONE": ("PHONE", v.phone),
            "LOCATION": ("LOCATION", v.location),
            "DESIGNATION": ("DESIGNATION", v.designation),
            "TITLE": ("DESIGNATION", v.title),
            "EDUCATION": ("EDUCATION", v.education),
            "EXPERIENCE": ("EXPERIENCE", v.length),
            "EXPERIENCE_SINCE": ("EXPERIENCE", v.since),
            "SKILL": ("SKILL", lambda: self._cased(v.skill())),
        }
        self._others: Mapping[str, Callable[[], str]] = {
            "company": v.company,
            "school": v.school,
            "town": v.town,
            "project": lambda: rng.choice(skills.PROJECTS),
            "hobby": lambda: rng.choice(skills.HOBBIES),
            "month": lambda: rng.choice(skills.MONTHS),
            "year": lambda: str(rng.randint(1998, 2015)),
            "year2": lambda: str(rng.randint(2015, 2025)),
            "oldyear": lambda: str(rng.randint(1890, 2012)),
            "count": lambda: str(rng.randint(2, 90)),
            "small": lambda: str(rng.randint(2, 9)),
            "order": lambda: f"{rng.randint(100, 999)}-{rng.randint(1000, 9999)}",
        }
        #: How this person writes skills in lists.
        self._style = rng.choice(("plain", "plain", "capital", "title"))

    def _cased(self, skill: str) -> str:
        if self._style == "capital":
            return skill[0].upper() + skill[1:]
        return skill.title() if self._style == "title" and skill.islower() else skill

    def fill(self, template: str) -> list[_Piece]:
        """The pieces of a filled template."""
        template = template.replace("{PAIR}", "{SKILL} and {SKILL}")
        if "{SKILLS}" in template:
            several = self._rng.choice(_SEPARATORS).join(["{SKILL}"] * self._rng.randint(3, 6))
            template = template.replace("{SKILLS}", several)
        pieces = []
        for i, part in enumerate(_SLOT.split(template)):
            if i % 2 == 0:
                pieces.append(_Piece(part))
            elif part in self._entities:
                label, make = self._entities[part]
                pieces.append(_Piece(make(), label))
            else:
                pieces.append(_Piece(self._others[part]()))
        return pieces


def _lines(rng: random.Random) -> list[str]:
    """The templates of one document, in order."""

    def some(of: tuple[str, ...], least: int, most: int) -> list[str]:
        return rng.sample(of, rng.randint(least, most))

    sections = {
        "summary": some(templates.SUMMARIES, 1, 2),
        "jobs": some(templates.JOBS, 1, 2),
        "education": some(templates.EDUCATION, 1, 2),
        "skills": some(templates.SKILLS, 1, 2),
        "others": some(templates.OTHERS, 0, 1) + some(skills.DISTRACTORS, 1, 1),
    }
    for lines in sections.values():
        if rng.random() < 0.15:
            lines.insert(rng.randint(0, len(lines)), rng.choice(skills.DISTRACTORS))
    order = ["summary", "jobs", "education", "skills", "others"]
    if rng.random() < 0.7:
        rng.shuffle(order)
    if rng.random() < 0.5:
        order.remove(rng.choice(("summary", "education", "skills", "others", "others")))
    letter = rng.random() < 0.3
    lines = [rng.choice(templates.OPENINGS if letter else templates.HEADERS)]
    style = rng.choice(("none", "none", "upper", "plain", "colon", "inline"))
    for section in order:
        title = rng.choice(templates.TITLES[section])
        if not letter and style != "none":
            title = {"upper": title.upper(), "plain": title}.get(style, f"{title}:")
            if style == "inline":
                sections[section][0] = f"{title} {sections[section][0]}"
            else:
                lines.append(title)
        lines += sections[section]
    if letter:
        lines.append(rng.choice(templates.CLOSINGS))
    return lines


def _attempt(vocabulary: Vocabulary, rng: random.Random) -> Document:
    writer = _Writer(vocabulary, rng)
    lines = _lines(rng)
    shout = rng.random() < 0.2  # the name at the top in capitals
    flat = rng.random() < 0.06  # no capitals at all
    text, spans = "", []
    for number, line in enumerate(lines):
        for piece in writer.fill(line):
            string = piece.text.upper() if shout and number == 0 and piece.label == "NAME" else piece.text
            if piece.label is not None:
                spans.append(Span(len(text), len(text) + len(string), piece.label))
            text += string
        text += "\n" if number < len(lines) - 1 else ""
    return Document(text.lower() if flat else text, split_words(text), tuple(spans))


def write_resume(vocabulary: Vocabulary, rng: random.Random) -> Document:
    """A résumé or a letter of 60 to 140 words."""
    while True:
        document = _attempt(vocabulary, rng)
        if SHORTEST <= len(document.words) <= LONGEST:
            return document
