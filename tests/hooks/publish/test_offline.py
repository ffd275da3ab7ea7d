"""What changes on the way from the site to the copy for a disk. `tests/site/test_offline.py` opens the copy."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from docs.hooks.archive import zipped
from docs.hooks.publish import offline

HEAD = '<head>\n<script>\nif (location.protocol !== "file:") {}</script>\n</head>'
PAGES = {"index.html", "one/index.html", "one/two/index.html"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    texts = {
        "index.html": f'{HEAD}<a href="one/">One</a>',
        "404.html": HEAD,
        "sitemap.xml": "",
        "one/index.html": HEAD,
        "stylesheets/one.css": "@font-face{src:url(../fonts/one.woff2)}",
        "fonts/one.woff2": "font",
        "figures/one.svg": "<svg/>",
        "javascripts/explorer/loader.js": "start()",
        "search/search_index.json": json.dumps({"docs": [{"location": ""}, {"location": "one/#two"}]}),
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "link", "wanted"),
    [
        ("index.html", "one/", "one/index.html"),
        ("index.html", "one/#why", "one/index.html#why"),
        ("index.html", ".", "./index.html"),
        ("one/index.html", "./", "./index.html"),
        ("one/index.html", "..", "../index.html"),
        ("one/two/index.html", "../../one/two/#why", "../../one/two/index.html#why"),
        ("one/index.html", "#why", "#why"),
        ("one/index.html", "../figures/one.svg", "../figures/one.svg"),
        ("one/index.html", "https://example.org/one/", "https://example.org/one/"),
        ("one/index.html", "mailto:ada@example.org", "mailto:ada@example.org"),
    ],
)
def test_a_link_to_a_folder_names_the_page_in_it(name, link, wanted):
    html = offline.page(f'{HEAD}<a class="a" href="{link}">', name, PAGES)
    assert f'<a class="a" href="{wanted}">' in html


def test_a_page_loads_the_script_first_and_no_module_or_font():
    module = '<script src="../../javascripts/explorer/loader.js" type="module"></script>'
    font = '<link rel="preload" href="../../fonts/one.woff2" as="font" type="font/woff2" crossorigin>\n'
    html = offline.page(f"{font}{HEAD}{module}", "one/two/index.html", PAGES)
    assert html.startswith('<head>\n<script src="../../offline.js"></script>\n<script>')
    assert "preload" not in html and "module" not in html


def test_a_page_without_a_place_for_the_script_is_told():
    with pytest.raises(ValueError, match=r"one/index\.html: .*offline\.js"):
        offline.page("<head></head>", "one/index.html", PAGES)


def test_the_copy_has_all_files_but_what_a_server_asks_for(site):
    files = offline.files(site)
    assert set(files) == {
        "index.html",
        "one/index.html",
        "stylesheets/one.css",
        "fonts/one.woff2",
        "figures/one.svg",
        "javascripts/explorer/loader.js",
        "search/search_index.js",
        "offline.js",
    }
    assert files["stylesheets/one.css"] == b"@font-face{src:url(data:font/woff2;base64,Zm9udA==)}"
    assert b'const files = {"javascripts/explorer/loader.js": "start()", "sitemap.xml": ""}' in files["offline.js"]
    before, _, index = files["search/search_index.js"].partition(b"var __index = ")
    assert not before
    assert [entry["location"] for entry in json.loads(index)["docs"]] == ["index.html", "one/index.html#two"]


@pytest.mark.parametrize("compressed", [False, True])
def test_an_archive_holds_its_files_and_no_time(compressed):
    files = {"one/a.txt": b"a" * 100, "b.txt": b"b"}
    made = zipped(files, compressed=compressed)
    assert made == zipped(files, compressed=compressed)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_without_a_site_it_says_what_to_do(tmp_path, capsys):
    settings = tmp_path / "mkdocs.yml"
    settings.write_text("site_name: Small\n", encoding="utf-8")
    (tmp_path / "docs").mkdir()
    assert offline.main(str(settings)) == 1
    assert "build it first" in capsys.readouterr().err


def test_the_zip_opens_to_a_folder(site, tmp_path, monkeypatch):
    settings = tmp_path / "mkdocs.yml"
    settings.write_text(f"site_name: Small\nsite_dir: {site / 'built'}\n", encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (site / "built").mkdir()
    (site / "built" / "index.html").write_text(HEAD, encoding="utf-8")
    monkeypatch.setattr(offline, "ROOT", tmp_path / "project")
    assert offline.main(str(settings)) == 0
    with zipfile.ZipFile(tmp_path / "project" / offline.COPY) as archive:
        assert set(archive.namelist()) == {"well-initialized/index.html", "well-initialized/offline.js"}
