"""Rules decide: what to think of an event, and where it goes. Pure.

Every rule and every route is asked, in the order of the file; what held is recorded with the revision of the
site, so that the decision can be explained and repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from router.conditions import Facts
from router.scoring import Advised, as_json
from router.site import Site, compile_when


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules of a site say about one event."""

    priority: int = 0
    queue: str = ""
    tags: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    """In the order of the routes, each once."""
    rules: tuple[str, ...] = ()
    """Triage rules that held."""
    routes: tuple[str, ...] = ()
    """Routes that held."""


class Rulebook:
    """The compiled rules of a site.

    Args:
        site: checked (see `router.site.load`).
        revision: content hash of the configuration.
    """

    def __init__(self, site: Site, revision: str) -> None:
        self.revision = revision
        scorers = tuple(site.scorers)
        self._rules = tuple((rule, compile_when(rule.when, scorers)) for rule in site.triage)
        self._routes = tuple((route, compile_when(route.when, scorers)) for route in site.routes)

    def judge(self, facts: Facts) -> Judgement:
        """What holds for these facts."""
        priority, queue = 0, ""
        tags: dict[str, None] = {}
        held: list[str] = []
        wanted: list[str] = []
        kept_from: set[str] = set()
        for rule, test in self._rules:
            if test(facts):
                held.append(rule.rule)
                priority = max(priority, rule.priority)
                queue = queue or rule.queue
                tags.update(dict.fromkeys(rule.tags))
                wanted.extend(rule.to)
                kept_from.update(rule.keep_from)
        routes = [route for route, test in self._routes if test(facts)]
        to = dict.fromkeys([name for route in routes for name in route.to] + wanted)
        return Judgement(priority=priority, queue=queue, tags=tuple(tags), rules=tuple(held),
                         routes=tuple(route.route for route in routes),
                         destinations=tuple(name for name in to if name not in kept_from))

    def record(self, judgement: Judgement, advice: Sequence[Advised], late: bool) -> dict[str, Any]:
        """The body of a decision: names, numbers and codes, no PHI."""
        body: dict[str, Any] = {"revision": self.revision, "rules": list(judgement.rules),
                                "routes": list(judgement.routes), "to": list(judgement.destinations)}
        if judgement.priority:
            body["priority"] = judgement.priority
        if judgement.queue:
            body["queue"] = judgement.queue
        if judgement.tags:
            body["tags"] = list(judgement.tags)
        if advice:
            body["scores"] = as_json(advice)
        if late:
            body["late"] = True
        return body
