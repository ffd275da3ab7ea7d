"""One style sheet for each kind of page, with the rules that a page of this kind can use.

MkDocs links a score of sheets; each delays the first paint, and a third of their bytes has a use. After the build those
of a page become one, in their order. A rule stays if each class, id, element and attribute that its selector asks for
is on a page of the kind or is a word of a script, which may add it. So do custom properties, animations and fonts that
something names. What the rules say is not touched. On the way the pages lose the indents of the templates.
"""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from posixpath import dirname, join, relpath
from typing import Any, NamedTuple

import tinycss2

from docs.hooks.store import digest, recall

FOLDER = "stylesheets"
LINK = r'<link rel="stylesheet" href="([^"]+)">'
LINKS = re.compile(rf"{LINK}(?:\s*{LINK})*")
API = "toolbox/api-"

AS_IT_IS = re.compile(r"(<(pre|script|style|textarea)\b.*?</\2>)", re.DOTALL)
ELEMENT = re.compile(r"<([a-z][\w-]*)")
CLASSES, IDS = re.compile(r'\sclass="([^"]+)"'), re.compile(r'\sid="([^"]+)"')
SCRIPT = re.compile(r"<script(?![^>]*ld\+json)[^>]*>(.*?)</script>", re.DOTALL)
SAID = re.compile(r"""(?<=["'`\s.=])[A-Za-z_][\w-]+(?=["'`\s=$])""")
"""Words of strings, and more. A single letter is a name of a variable."""
TABS = re.compile(r'\sid="__tabbed_\d+_(\d+)"')
MADE = re.compile(r"""(?<=["'`<])[a-z][\w-]*(?=["'`\s>])""")
"""The names of elements that a script may make."""
ATTRIBUTE = re.compile(r"\[([\w-]+)([~|^$*]?=)?(.*)\]")
PROPERTY = re.compile(r"--[\w-]+")
URL = re.compile(r"""(url\(["']?)(?!data:|#)([^"')]+)""")

ONE_OF = {"is", "where", "has", "matches"}
"""Pseudo-classes of which one of the listed selectors has to hold."""
SWITCHED_OFF = (
    "giscus", "mermaid", "md-annotation", "md-author", "md-banner", "md-consent", "md-feedback", "md-post",
    "md-profile", "md-source__", "md-status", "md-tabs", "md-tag", "md-tooltip", "md-version",
)  # fmt: skip
"""What the script of the theme knows of, but makes for features alone that `mkdocs.yml` does not switch on."""
ON_PAGE = ("dir", "data-md-color-scheme", "data-md-color-primary", "data-md-color-accent")
"""Attributes whose values scripts take from the page. (That the scheme is just switching, a script says itself.)"""

VERSION = (Path(__file__).read_text(encoding="utf-8"), tinycss2.__version__)
Nodes = list[Any]


def publish(site: Path) -> None:
    """Link on each page of the site in the folder `site` the one sheet of its kind, and remove those it is made of."""
    pages: dict[tuple[str, tuple[str, ...]], dict[Path, str]] = {}
    for path in sorted(site.rglob("*.html")):
        html = path.read_text(encoding="utf-8")
        if links := LINKS.search(html):
            root, sheets = _sheets(links[0])
            members = pages.setdefault((kind(path.relative_to(site).as_posix()), sheets), {})
            members[path] = LINKS.sub(f'<link rel="stylesheet" href="{root}{FOLDER}/{{}}">', html, count=1)
    theme = _together(site.glob("assets/**/*.js"))
    ours = _together(site.glob("javascripts/**/*.js"))
    for (name, sources), members in pages.items():
        css = "".join(_moved(site, source) for source in sources)
        sheet = purged(css, members.values(), ours, theme)
        file = site / FOLDER / f"{name}.{digest(sheet.encode())[:8]}.css"
        file.write_text(sheet, encoding="utf-8")
        for path, html in members.items():
            linked = html.replace(f"{FOLDER}/{{}}", f"{FOLDER}/{file.name}", 1)
            path.write_text(without_indents(linked), encoding="utf-8")
    for source in {source for _, sources in pages for source in sources}:
        (site / source).unlink()
        (site / f"{source}.map").unlink(missing_ok=True)


def without_indents(html: str) -> str:
    """One line end for each run of spaces around line ends, where none of them is shown."""
    parts = AS_IT_IS.split(html)
    parts[::3] = [re.sub(r"\s*\n\s*", "\n", text) for text in parts[::3]]
    del parts[2::3]
    return "".join(parts)


def _together(scripts: Iterable[Path]) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(scripts))


def _sheets(links: str) -> tuple[str, tuple[str, ...]]:
    """The way to the root of the site, and from there to each sheet. Material's own comes first."""
    addresses = re.findall(LINK, links)
    root = addresses[0].partition("assets/")[0]
    return root, tuple(address.removeprefix(root) for address in addresses)


def kind(address: str) -> str:
    """The name of a page's sheet: its folder, and a sheet of their own for the signatures of all functions."""
    folder, _, rest = address.partition("/")
    return "api" if address.startswith(API) else folder if rest else "home"


def _moved(site: Path, source: str) -> str:
    """A sheet with its addresses as they are from the folder of the new one."""
    css = (site / source).read_text(encoding="utf-8")
    return URL.sub(lambda url: url[1] + relpath(join(dirname(source), url[2]), FOLDER), css)


def purged(css: str, pages: Iterable[str], scripts: str = "", theme: str = "") -> str:
    """What of the sheet can be used by pages with this HTML, which run our scripts and the theme's."""
    names = recall((*VERSION, css), lambda: sorted(set(_asked(_parse(css)))))
    asked = digest(json.dumps((names, scripts, theme)).encode())
    found = (
        recall((*VERSION, asked, digest(html.encode())), partial(_there, names, html, scripts, theme)) for html in pages
    )
    there = sorted(set[str]().union(*found))
    return recall((*VERSION, css, there), lambda: _write(_parse(css), set(there)))


def _there(names: list[str], html: str, scripts: str, theme: str) -> list[str]:
    """Which of the names are on the page, or may come there by a script.

    A name is written as a selector writes it: `table`, `.answer`, `#why`, `[hidden]`, `[type=checkbox]`, `--ink`.
    """
    own = [_words(script) for script in (scripts, *SCRIPT.findall(html))]
    of_theme = _words(theme)
    words = set[str]().union(of_theme.said, *(one.said for one in own))
    said = set(filter(_is_name, of_theme.said)).union(*(one.said for one in own))
    found = set(ELEMENT.findall(html)).union(PROPERTY.findall(html), *(one.made for one in (of_theme, *own)))
    found.update(f"input:nth-child({number})" for number in TABS.findall(html))
    found.update(f"#{name}" for name in said.union(IDS.findall(html)))
    found.update(f".{name}" for classes in said.union(CLASSES.findall(html)) for name in classes.split())
    begun = tuple(f".{word}" for word in said if word.endswith("--"))  # `tabbed-control--${side}`
    found.update(name for name in names if name.startswith(begun))
    values: dict[str, set[str]] = {ATTRIBUTE.match(name)[1]: set() for name in names if name[0] == "["}
    with_value = re.compile(rf'\s({"|".join(map(re.escape, values))})(?:="([^"]*)")?(?=[\s/>])')
    for name, value in set(with_value.findall(html)) if values else ():
        values[name].add(value)

    def holds(name: str) -> bool:
        if name[0] != "[":
            return name in found
        attribute, how, value = ATTRIBUTE.match(name).groups("")
        if any(_matches(how, value, other) for other in values[attribute]):
            return True
        return attribute in words and set(value.split()) <= words and not attribute.startswith(ON_PAGE)

    return list(filter(holds, names))


class Words(NamedTuple):
    """What a script may name, and what it may make: elements, and custom properties that it asks for."""

    said: set[str]
    made: set[str]


@cache
def _words(script: str) -> Words:
    asked = (name for name in PROPERTY.findall(script) if not name.startswith("--md-mermaid"))
    return Words(set(SAID.findall(script)), set(MADE.findall(script)).union(asked))


def _is_name(word: str) -> bool:
    """Whether a word of the theme's script may be a class or an id; its variables and properties are not."""
    return ("-" in word or word == "js") and not word.startswith(SWITCHED_OFF)


def _matches(how: str, value: str, other: str) -> bool:
    match how[:1]:
        case "":
            return True
        case "^":
            return other.startswith(value)
        case "$":
            return other.endswith(value)
        case "*":
            return value in other
        case "~":
            return value in other.split()
        case "|":
            return other == value or other.startswith(f"{value}-")
    return other == value


def _parse(css: str) -> Nodes:
    return _sound(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True))


def _inside(block: Any) -> Nodes:
    return _sound(tinycss2.parse_blocks_contents(block, skip_comments=True, skip_whitespace=True))


def _sound(nodes: Nodes) -> Nodes:
    for node in nodes:
        if node.type == "error":
            raise ValueError(f"line {node.source_line} of the joined style sheets: {node.message}")
    return nodes


def _holds_rules(rule: Any) -> bool:
    return rule.type == "at-rule" and rule.lower_at_keyword in {"media", "supports", "container", "layer"}


def _asked(rules: Nodes) -> Iterator[str]:
    """All names in the selectors of the rules, and the custom properties that they set."""
    for rule in rules:
        if _holds_rules(rule):
            yield from _asked(_inside(rule.content or []))
        elif rule.type == "qualified-rule":
            for selector in _listed(rule.prelude):
                yield from (name for name in _needs(selector, every=True) if isinstance(name, str))
            yield from (one.name for one in _inside(rule.content) if one.type == "declaration" and one.name[:2] == "--")


def _listed(prelude: Nodes) -> list[Nodes]:
    """The selectors between commas."""
    lists: list[Nodes] = [[]]
    for token in prelude:
        if token == ",":
            lists.append([])
        else:
            lists[-1].append(token)
    return lists


def _needs(selector: Nodes, every: bool = False) -> Iterator[str | list[Nodes]]:
    """What has to be there for a selector to hold: names, and lists of selectors of which one has to hold.

    With `every` all names that it holds, one after the other.
    """
    before = last = ""
    for token in selector:
        if token.type == "ident":
            if before == ".":
                yield f".{token.value}"
            elif before != ":":
                yield token.value
        elif token.type == "hash":
            yield f"#{token.value}"
        elif token.type == "[] block":
            said = [part for part in token.content if part.type not in {"whitespace", "comment"}]
            name, rest = said[0].value, said[1:]
            how = "".join(part.value for part in rest if part.type == "literal")
            value = "".join(part.value for part in rest if part.type != "literal")
            yield f"[{name}]" if not how else f"[{name}{how}{value}]"
        elif token.type == "function" and token.lower_name in ONE_OF:
            lists = _listed(token.arguments)
            if every:
                for one in lists:
                    yield from _needs(one, every)
            else:
                yield lists
        elif token.type == "function" and last == "input" and re.fullmatch(r"nth-child\(\d+\)", token.serialize()):
            yield f"input:{token.serialize()}"
        last = token.value if token.type == "ident" else last
        before = token.value if token.type == "literal" else ""


def _can_hold(selector: Nodes, there: set[str]) -> bool:
    return all(
        need in there if isinstance(need, str) else any(_can_hold(one, there) for one in need)
        for need in _needs(selector)
    )


def _write(rules: Nodes, there: set[str]) -> str:
    """The rules that can hold, without custom properties, animations and fonts that nothing names."""
    parts = _kept(rules, there)
    while True:
        said = "".join(_declarations(parts))
        named = there | set(re.findall(r"var\(\s*(--[\w-]+)", said))
        fewer = _named(parts, named, said)
        if fewer == parts:
            return "".join(f"{line}\n" for line in ('@charset "utf-8";', *map(_text, parts)))
        parts = fewer


class Part(NamedTuple):
    """A rule: what stands before its braces, and declarations or other rules between them."""

    head: str
    body: list[Any]


def _kept(rules: Nodes, there: set[str]) -> list[Part]:
    parts = []
    for rule in rules:
        if rule.type == "qualified-rule":
            head = ",".join(_short(one) for one in _listed(rule.prelude) if _can_hold(one, there))
            body: list[Any] = [_declaration(one) for one in _inside(rule.content)]
        elif rule.content is None:
            if rule.lower_at_keyword != "charset":
                raise ValueError(f"the style sheets of pages are joined, which ends what @{rule.at_keyword} says")
            continue
        else:
            head = f"@{rule.at_keyword} {_short(rule.prelude)}".strip()
            inner = _inside(rule.content)
            if _holds_rules(rule):
                body = _kept(inner, there)
            elif rule.lower_at_keyword.endswith("keyframes"):
                body = [Part(_short(one.prelude), list(map(_declaration, _inside(one.content)))) for one in inner]
            else:
                body = list(map(_declaration, inner))
        if head and body:
            parts.append(Part(head, body))
    return parts


def _declaration(node: Any) -> str:
    if node.type != "declaration":
        raise ValueError(f"line {node.source_line} of the joined style sheets: {node.type} among declarations")
    return f"{node.name}:{_short(node.value) or ' '}{'!important' * node.important}"


def _short(tokens: Nodes) -> str:
    """As it was, with one space where there were several; text in quotes is not touched."""
    text = tinycss2.serialize(tokens)
    return re.sub(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|/\*.*?\*/|\s+""", lambda one: one[1] or " ", text).strip()


def _declarations(parts: list[Any]) -> Iterator[str]:
    """All but those of fonts, which name themselves."""
    for part in parts:
        if isinstance(part, str):
            yield f"{part};"
        elif part.head != "@font-face":
            yield from _declarations(part.body)


def _named(parts: list[Any], named: set[str], said: str) -> list[Any]:
    """The parts without what neither `named` nor a declaration of `said` asks for."""
    fewer: list[Any] = []
    for part in parts:
        if isinstance(part, str):
            if part[:2] != "--" or part.partition(":")[0] in named:
                fewer.append(part)
        elif part.head == "@font-face":
            family = next(one.partition(":")[2].strip("\"'") for one in part.body if one.startswith("font-family:"))
            if family in said:
                fewer.append(part)
        elif "keyframes" in part.head:
            if re.search(rf"animation[\w-]*:[^;]*\b{re.escape(part.head.split()[-1])}\b", said):
                fewer.append(part)
        elif body := _named(part.body, named, said):
            fewer.append(Part(part.head, body))
    return fewer


def _text(part: Any) -> str:
    if isinstance(part, str):
        return part
    between = ";" if isinstance(part.body[0], str) else ""
    return f"{part.head}{{{between.join(map(_text, part.body))}}}"
