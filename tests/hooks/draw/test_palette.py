"""The colours of the figures can be read and told apart, in both schemes and by colour-blind readers."""

import itertools

import numpy as np
import pytest

from docs.hooks.draw import palette, scheme, theme

# Linear-light matrices for complete loss of one cone. Source: Viénot, Brettel & Mollon (1999), "Digital video
# colourmaps for checking the legibility of displays by dichromats".
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]]),
    "deutan": np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]),
}


def linear(colour: str) -> np.ndarray:
    """Linear-light red, green and blue of an sRGB colour (IEC 61966-2-1)."""
    channels = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    lights = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (first, second))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of linear-light red, green and blue."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_series_reach_4_5_to_1_on_the_paper(scheme):
    for pair in (palette.INK, *palette.SERIES):
        assert contrast(pair[scheme], palette.PAPER[scheme]) >= 4.5, pair[scheme]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_series_stay_apart(scheme, deficiency):
    """Ten units of L*a*b* apart, four times the just noticeable difference."""
    seen = [lab(DEFICIENCIES[deficiency] @ linear(pair[scheme])) for pair in palette.SERIES]
    for (i, first), (j, second) in itertools.combinations(enumerate(seen), 2):
        assert np.linalg.norm(first - second) >= 10, f"C{i} and C{j}"


def test_colours_differ_so_that_each_can_be_found_in_a_drawing():
    light = [pair[0] for pair in palette.NAMED.values()]
    assert len(set(light)) == len(light)


def test_a_drawing_names_the_colours_of_the_palette_and_gets_the_values_of_those_it_has():
    assert list(scheme.STAND_INS) == list(palette.NAMED)
    drawn = scheme.name_colours(f'<svg>\n<g fill="{scheme.STAND_INS["c1"]}"/></svg>')
    light, dark = palette.SERIES[1]
    style = f"<style>svg{{--c1:{light};}}@media(prefers-color-scheme:dark){{svg{{--c1:{dark};}}}}</style>"
    assert theme.painted(drawn) == f'<svg>\n{style}\n<g style="fill: var(--c1)"/></svg>'
