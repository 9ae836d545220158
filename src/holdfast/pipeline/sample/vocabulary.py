"""Draws names, places, titles, skills and the like; what validation and test draw is mostly unknown to training."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.pipeline.sample import skills, words

#: How each pool is divided: training, validation; test has the rest.
_TRAIN, _VALIDATION = 0.6, 0.18


def _compounds(starts: Sequence[str], ends: Sequence[str]) -> tuple[str, ...]:
    return tuple(a + b for a in starts for b in ends if a.lower() != b and a[-1].lower() != b[0])


#: The words of each kind, and the share of what validation and test draw that comes from the words of training. What
#: heads a title or a craft (`manager`, `planning`) is the same everywhere, as it is in life; what it heads is not.
_POOLS: Mapping[str, tuple[Sequence[str], float]] = {
    "first": (words.FIRST_NAMES, 0.3),
    "composed first": (_compounds(words.FIRST_STARTS, words.FIRST_ENDS), 0.1),
    "last": (words.SURNAMES, 0.3),
    "composed last": (_compounds(words.LAST_STARTS, words.LAST_ENDS), 0.1),
    "town": (_compounds(words.TOWN_STARTS, words.TOWN_ENDS), 0.3),
    "state": (words.STATES, 0.7),
    "area": (words.TITLE_AREAS, 0.5),
    "role": (words.TITLE_ROLES, 1.0),
    "title": (words.WHOLE_TITLES, 0.6),
    "field": (words.FIELDS, 0.7),
    "product": (_compounds(skills.PRODUCT_STARTS, skills.PRODUCT_ENDS), 0.2),
    "real product": (skills.REAL_PRODUCTS, 0.6),
    "theme": (skills.SKILL_THEMES, 0.5),
    "activity": (skills.SKILL_ACTIVITIES, 1.0),
    "skill": (skills.WHOLE_SKILLS, 0.6),
    "length": (tuple(map(str, range(2, 31))), 0.8),
    "since": (tuple(map(str, range(1999, 2025))), 0.8),
}
_NUMBERS = words.one_each(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty"""
)


@dataclass(frozen=True)
class Pool:
    """The words of one kind that a split draws: its own, and a share of those of training."""

    own: tuple[str, ...]
    known: tuple[str, ...]
    share: float

    def draw(self, rng: random.Random) -> str:
        """One of them."""
        return rng.choice(self.known if rng.random() < self.share else self.own)


def split_pools(rng: random.Random) -> tuple[dict[str, Pool], dict[str, Pool], dict[str, Pool]]:
    """The pools of training, validation and test: the own words of the three are disjoint."""
    train: dict[str, Pool] = {}
    validation: dict[str, Pool] = {}
    test: dict[str, Pool] = {}
    for kind, (pool, share) in _POOLS.items():
        shuffled = list(dict.fromkeys(pool))
        rng.shuffle(shuffled)
        a = int(len(shuffled) * _TRAIN)
        b = a + int(len(shuffled) * _VALIDATION)
        if share == 1:
            a = b = len(shuffled)  # nothing is held back
        known = tuple(shuffled[:a])
        train[kind] = Pool(known, known, 1.0)
        validation[kind] = Pool(tuple(shuffled[a:b]), known, share)
        test[kind] = Pool(tuple(shuffled[b:]), known, share)
    return train, validation, test


class Vocabulary:
    """Makes the strings of one split.

    Args:
        pools: The split's words.
        rng: Decides everything.
    """

    def __init__(self, pools: Mapping[str, Pool], rng: random.Random) -> None:
        self._pools = pools
        self._rng = rng

    def _draw(self, kind: str) -> str:
        return self._pools[kind].draw(self._rng)

    def name(self) -> str:
        """A person: `Petra Novak`, `Ravi K. Desai`, `Elena Vance-Trent`."""
        first = self._draw("first" if self._rng.random() < 0.4 else "composed first")
        last = self.last()
        kind = self._rng.random()
        if kind < 0.12:
            return f"{first} {self._rng.choice('ABCDEFGHJKLMNPRSTVW')}. {last}"
        if kind < 0.2:
            return f"{first} {last}-{self.last()}"
        return f"{first} {last}"

    def last(self) -> str:
        """A family name."""
        return self._draw("last" if self._rng.random() < 0.3 else "composed last")

    def email(self, name: str) -> str:
        """An address of that person."""
        parts = [p for p in "".join(c if c.isalpha() else " " for c in name.lower().replace("'", "")).split() if len(p) > 1]
        first, last = parts[0], parts[-1]
        number = self._rng.randint(1, 99)
        forms = (
            f"{first}.{last}",
            f"{first[0]}.{last}",
            f"{first}{number}",
            f"{last}{first[0]}",
            f"{first}-{last}",
            f"{last}.{number}",
        )
        host = self._rng.choice(("", "", "", "mail.", "post."))
        return f"{self._rng.choice(forms)}@{host}example.{self._rng.choice(('com', 'org', 'net'))}"

    def phone(self) -> str:
        """A number with 555, which no telephone has."""
        area, line = self._rng.choice(skills.AREA_CODES), f"{self._rng.randint(0, 9999):04d}"
        forms = (
            f"({area}) 555-{line}",
            f"{area}-555-{line}",
            f"+1 {area} 555 {line}",
            f"{area}.555.{line}",
            f"{area} 555 {line}",
            f"+1-{area}-555-{line}",
            f"555-{line}",
        )
        return self._rng.choice(forms)

    def town(self) -> str:
        """A town that is on no map."""
        return self._draw("town")

    def location(self) -> str:
        """`Ashford, OR`, `Ashford, Oregon`, `Ashford` or `Oregon`."""
        state, code = self._draw("state").split("/")
        kind = self._rng.random()
        if kind < 0.1:
            return state
        if kind < 0.4:
            return self.town()
        return f"{self.town()}, {state if kind < 0.6 else code}"

    def designation(self) -> str:
        """A job title, in title case."""
        if self._rng.random() < 0.1:
            return self._draw("title")
        level = f"{self._rng.choice(words.LEVELS)} " if self._rng.random() < 0.35 else ""
        return f"{level}{self._draw('area')} {self._draw('role')}"

    def title(self) -> str:
        """A job title as prose has it: half of them in lower case."""
        title = self.designation()
        return title.lower() if self._rng.random() < 0.5 else title

    def education(self) -> str:
        """A degree, mostly with its field."""
        kind = self._rng.random()
        if kind < 0.1:
            return self._rng.choice(words.WHOLE_DEGREES)
        degree, field = self._rng.choice(words.DEGREES), self._draw("field")
        joint = self._rng.choice((" in ", " in ", ", ")) if degree != "Bachelor" else " of "
        return f"{degree}{joint}{field}"

    def length(self) -> str:
        """A length of work: `six years`, `4+ years`, `18 months`."""
        number = self._draw("length")
        n = int(number)
        spelled = _NUMBERS[n] if n < len(_NUMBERS) else number
        unit = self._rng.choice(("years", "years", "years", "yrs"))
        forms = (
            f"{spelled} years",
            f"{spelled} years",
            f"{number}+ {unit}",
            f"{number} {unit}",
            f"{number}.5 {unit}",
            f"{number} months",
            f"{spelled} and a half years" if spelled != number else f"{number} years",
        )
        return self._rng.choice(forms)

    def since(self) -> str:
        """`since 2016`, a length of work that depends on today."""
        return f"since {self._draw('since')}"

    def skill(self) -> str:
        """A skill: a product, a craft of two words, or one of the common ones."""
        kind = self._rng.random()
        if kind < 0.25:
            return self._draw("product")
        if kind < 0.37:
            return self._draw("real product")
        if kind < 0.87:
            return f"{self._draw('theme')} {self._draw('activity')}"
        return self._draw("skill")

    def company(self) -> str:
        """A company, which may be called like a person or a town."""
        end = self._rng.choice(skills.COMPANY_ENDS)
        makers: tuple[Callable[[], str], ...] = (
            lambda: f"{self.last()} {end}",
            lambda: f"{self.town()} {end}",
            lambda: f"{self.last()} & {self.last()}",
            lambda: f"{self._draw('area')} {end}",
            lambda: f"{self._draw('product')} {end}",
            lambda: f"{self._rng.choice(skills.PROJECTS)} {end}",
        )
        return self._rng.choice(makers)()

    def school(self) -> str:
        """A school, which has the name of a town or a person in it."""
        town, last = self.town(), self.last()
        forms = (
            f"University of {town}",
            f"{town} State University",
            f"{town} College",
            f"{last} Institute of Technology",
            f"{last} University",
        )
        return self._rng.choice(forms)
