"""A number is not torn from its percent sign, nor 8 from × 8."""

import markdown
import pytest

from docs.hooks.markdown import spaces
from docs.hooks.show import prose

TIED = "\u00a0"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("It loses 59 % per layer.", f"<p>It loses 59{TIED}% per layer.</p>"),
        ("Digits of 8 × 8 pixels", f"<p>Digits of 8{TIED}×{TIED}8 pixels</p>"),
        ("A kernel 3 × 3 × 16", f"<p>A kernel 3{TIED}×{TIED}3{TIED}×{TIED}16</p>"),
        ("With γ = 1, β = −0.5", f"<p>With γ{TIED}={TIED}1, β{TIED}={TIED}−0.5</p>"),
        ("seven = 7, a = b", "<p>seven = 7, a = b</p>"),
        ("a × b, 4 × He, 100 * 2", "<p>a × b, 4 × He, 100 * 2</p>"),
        ("*Of* 3 % and **4 %**", f"<p><em>Of</em> 3{TIED}% and <strong>4{TIED}%</strong></p>"),
        ("`7 % 4` and\n\n    8 % 3", "<p><code>7 % 4</code> and</p>\n<pre><code>8 % 3\n</code></pre>"),
    ],
)
def test_what_belongs_together_stays_on_one_line(text, html):
    assert markdown.markdown(text, extensions=[spaces.__name__]) == html


def test_so_it_does_in_a_card():
    assert prose.to_html("within 3 %") == f"within 3{TIED}%"
