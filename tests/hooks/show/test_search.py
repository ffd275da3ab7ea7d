import json

import pytest

from docs.hooks.show import search

ROOT_OF = "<msqrt><mrow><mn>2</mn><mi>/</mi><mi>n</mi></mrow></msqrt>"
FRACTION = "<msqrt><mfrac><mn>2</mn><mi>n</mi></mfrac></msqrt>"


@pytest.mark.parametrize("inside", [ROOT_OF, FRACTION])
def test_a_formula_is_one_word_however_it_is_set(inside):
    assert search.as_word(f"<math><mrow>{inside}</mrow></math>") == "sqrt2overn"


def test_an_entry_gets_the_title_of_its_page_its_formulas_and_its_words(tmp_path, monkeypatch):
    also = tmp_path / "also.yml"
    also.write_text("he/#answer: kaiming", encoding="utf-8")
    monkeypatch.setattr(search, "ALSO", also)
    code = "<pre>" + "\n" * (search.LONG + 1) + "</pre>"
    entries = [("he/", "He", "A page."), ("he/#answer", "The answer", f"Take it.{code}<pre>short</pre>")]
    index = {"config": {}, "docs": [dict(zip(("location", "title", "text"), entry, strict=True)) for entry in entries]}
    for file, text in (
        (search.INDEX, json.dumps(index)),
        ("he/index.html", f'<h1 id="he"></h1><h2 id="answer"></h2><math>{ROOT_OF}</math><math><mi>x</mi></math>'),
    ):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text, encoding="utf-8")

    search.publish_index(tmp_path)

    page, answer = json.loads((tmp_path / search.INDEX).read_text(encoding="utf-8"))["docs"]
    assert page["also"] == ""
    assert answer["also"] == "He kaiming sqrt2overn"
    assert answer["text"] == "Take it.<pre>short</pre>"
    assert answer["boost"] > page["boost"]


def test_a_page_that_is_left_out_is_found_by_its_title(tmp_path):
    head = '<meta name="description" content="Every paper.">'
    for file, text in (
        (search.INDEX, json.dumps({"config": {}, "docs": []})),
        ("references/index.html", f'{head}<h1 id="r">References<a class="headerlink" href="#r">¶</a></h1>'),
        ("code/check-my-model/index.html", f"{head}<h1>Check my model: the code</h1>"),
        ("downloads/index.html", "no page"),
    ):
        (tmp_path / file).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / file).write_text(text, encoding="utf-8")

    search.publish_index(tmp_path)

    (entry,) = json.loads((tmp_path / search.INDEX).read_text(encoding="utf-8"))["docs"]
    assert (entry["location"], entry["title"], entry["text"]) == ("references/", "References", "Every paper.")


def test_the_page_of_symbols_is_found_by_a_letter_and_by_its_name():
    html = '<h2 id="means"></h2><math><msup><mi>χ</mi><mn>2</mn></msup></math><math><mi>Σ</mi></math>'
    assert search._formulas(html, letters=True) == {"means": {"χ", "chi", "Σ", "sigma"}}
    assert search._formulas(html, letters=False) == {"means": set()}


def test_a_root_among_the_words_is_one_word_more():
    assert search._with_roots("he, sqrt(6/(n_in+n_out)), √2") == "he, sqrt(6/(n_in+n_out)), √2 sqrt6overn_inn_out"


def test_a_site_without_a_search_stays_as_it_is(tmp_path):
    search.publish_index(tmp_path)
    assert list(tmp_path.iterdir()) == []
