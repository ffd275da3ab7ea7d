"""Long code in a sentence has places at which it may break."""

import markdown
import pytest

from docs.hooks.markdown import breaks

B = "<wbr />"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("`f(stddev=1.0)`", "<code>f(stddev=1.0)</code>"),
        (
            "`Embedding(words, embeddings_initializer=RandomNormal(stddev=1.0))`",
            f"<code>Embedding({B}words, embeddings_initializer={B}RandomNormal({B}stddev={B}1.0))</code>",
        ),
        ("`keras.layers.Dense()`", f"<code>keras.{B}layers.{B}Dense()</code>"),
        ("`loss_of_the_model==0.25`", "<code>loss_of_the_model==0.25</code>"),
        ("`outputs[0]<len(inputs)`", f"<code>outputs[{B}0]&lt;len({B}inputs)</code>"),
        ("\n    keras.layers.Dense()", "<pre><code>keras.layers.Dense()\n</code></pre>"),
        ("keras.layers.Dense()", "keras.layers.Dense()"),
    ],
)
def test_long_code_breaks_between_its_words(text, html):
    made = markdown.markdown(text, extensions=[breaks.__name__])
    assert made.removeprefix("<p>").removesuffix("</p>") == html
