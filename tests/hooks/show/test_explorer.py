"""What the build does for the explorer: comments go, code stays; the digits come whole."""

import json

import numpy as np

from docs.hooks.show.explorer import MODULES, digits_json, publish_modules, without_comments
from snippets.laboratory.digits import load_digits

SCRIPT = """/**
 * What this is.
 */
import { a } from "./a.js"

const address = "https://example.org" // behind code
// alone
const here = "/* kept */"
  /* indented */
  // and so on
const text = a / 2 /* inside */ + 1
"""
PUBLISHED = """import { a } from "./a.js"

const address = "https://example.org" // behind code
const here = "/* kept */"
const text = a / 2 /* inside */ + 1
"""


def test_comments_with_lines_of_their_own_go():
    assert without_comments(SCRIPT) == PUBLISHED
    assert without_comments(PUBLISHED) == PUBLISHED


def test_modules_are_published_in_place_or_elsewhere(tmp_path):
    (tmp_path / "one.js").write_text(SCRIPT)
    publish_modules(tmp_path, tmp_path / "site" / "explorer")
    assert (tmp_path / "one.js").read_text() == SCRIPT
    assert (tmp_path / "site" / "explorer" / "one.js").read_text() == PUBLISHED
    publish_modules(tmp_path, tmp_path)
    assert (tmp_path / "one.js").read_text() == PUBLISHED


def test_digits_are_those_of_the_experiments():
    found, data = json.loads(digits_json()), load_digits()
    levels = np.frombuffer(found["levels"].encode(), dtype=np.uint8).astype(float) - ord("a")
    assert set(levels) == set(range(17))
    known = levels[: data.train_inputs.size]
    images = ((levels - known.mean()) / known.std()).astype(np.float32)
    assert np.array_equal(images, np.concatenate([data.train_inputs, data.test_inputs]).ravel())
    assert [int(label) for label in found["labels"]] == [*data.train_labels, *data.test_labels]


def test_the_built_site_holds_the_modules_and_the_digits(project):
    built = project.build_site()
    assert built.returncode == 0, built.stdout
    site = project.root / "site"
    for module in (project.root / "docs" / MODULES).glob("*.js"):
        source = module.read_text(encoding="utf-8")
        assert (site / MODULES / module.name).read_text(encoding="utf-8") == without_comments(source)
    # The path that train.js fetches, seen from its own.
    assert (site / MODULES / "../../downloads/explorer/digits.json").read_text(encoding="utf-8") == digits_json()
