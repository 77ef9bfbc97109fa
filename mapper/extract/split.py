"""One document into its forms: which page begins one, which pages follow it (A1.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from canonical.page import Page, PageDocument
from mapper.extract.finders import Finder
from mapper.extract.sheet import Hit, Phrase
from mapper.extract.template import Template

#: What each sign of a form counts towards its `need`.
BARCODE = 3
TITLE = 2
ANCHOR = 1
#: Labels that a form nobody described must have to be read by its labels.
LABELS = 4


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Pages that belong together."""

    template: Template | None
    """None: nothing is known of them."""
    pages: tuple[Page, ...]
    """All of them."""
    read: tuple[Page, ...]
    """Those that fields are read from."""


class Division(msgspec.Struct, frozen=True):
    """A document divided."""

    parts: tuple[Part, ...]
    before: tuple[Page, ...]
    """Cover sheets: pages before the first form."""
    stray: tuple[int, ...]
    """Pages behind a form of a document with several, and not of that form for certain."""
    guessed: bool = False


def score(template: Template, page: Page) -> int:
    """How much of a page says that it is this form; 0 where it is not enough."""
    total = 0
    if template.barcode is not None and any(template.barcode.fullmatch(code.text) for code in page.barcodes):
        total += BARCODE
    phrases: list[Phrase] = [*template.anchors, *([template.title] if template.title is not None else [])]
    found: dict[str, Hit] = {hit.phrase.plain: hit for hit in Finder(page, phrases).hits}
    total += sum(ANCHOR for phrase in template.anchors if phrase.plain in found)
    if template.title is not None and template.title.plain in found:
        total += TITLE
    return total if total >= max(template.need, 1) else 0


def recognised(page: Page, templates: Iterable[Template]) -> Template | None:
    """The form that a page begins: the one that most speaks for; None where none has enough, or two have the same."""
    scored = sorted(((score(each, page), each.name, each) for each in templates), key=lambda one: (-one[0], one[1]))
    if not scored or not scored[0][0] or (len(scored) > 1 and scored[0][0] == scored[1][0]):
        return None
    return scored[0][2]


def divided(source: PageDocument, templates: Sequence[Template], otherwise: Template | None) -> Division:
    """Divide a document: each page that is recognised begins a form, others follow the form before them.

    Fields are read from the page that begins a form only, so that nothing of one patient can get to another.
    """
    starts = {page.number: template for page in source.pages if (template := recognised(page, templates)) is not None}
    if not starts:
        return _unknown(source, otherwise)
    before: list[Page] = []
    groups: list[tuple[Template, list[Page]]] = []
    for page in source.pages:
        template = starts.get(page.number)
        if template is not None:
            groups.append((template, [page]))
        elif groups:
            groups[-1][1].append(page)
        else:
            before.append(page)
    stray = tuple(page.number for _, pages in groups for page in pages[1:]) if len(groups) > 1 else ()
    return Division(tuple(Part(template=template, pages=tuple(pages), read=(pages[0],)) for template, pages in groups),
                    tuple(before), stray)


def _unknown(source: PageDocument, otherwise: Template | None) -> Division:
    """Pages that no template knows: read by the labels that most forms have, where there are some."""
    if otherwise is not None:
        counted = [(len({hit.phrase.plain for hit in Finder(page, otherwise.labels).hits if hit.exact == 0}), page)
                   for page in source.pages]
        if counted and (best := max(counted, key=lambda one: one[0]))[0] >= LABELS:
            at = source.pages.index(best[1])
            return Division((Part(template=otherwise, pages=source.pages[at:], read=(best[1],)),), source.pages[:at], (),
                            guessed=True)
    return Division((Part(template=None, pages=source.pages, read=()),), (), ())
