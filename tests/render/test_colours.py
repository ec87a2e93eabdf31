"""The colours of the states are told apart by all kinds of colour vision."""

from __future__ import annotations

import itertools
import math
import re
from importlib import resources

import pytest

from gradaudit.model.timelines import STATES

# Machado, Oliveira and Fernandes 2009, full severity, for linear RGB.
VISION = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
# The tritanopic distance of Okabe and Ito's own sky blue and bluish green is 16.
FAR = 15


def palette(scheme: str) -> dict[str, str]:
    """The variables of a scheme; the dark one changes some of the light one."""
    css = resources.files("gradaudit.render").joinpath("page", "report.css").read_text("utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)
    told = light if scheme == "light" else light + dark
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", told))


def seen(colour: str, vision: str) -> tuple[float, float, float]:
    """A colour in CIE Lab, as somebody sees it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    rgb = [
        min(1, max(0, sum(weight * part for weight, part in zip(row, linear, strict=True))))
        for row in VISION[vision]
    ]
    x = (0.4124 * rgb[0] + 0.3576 * rgb[1] + 0.1805 * rgb[2]) / 0.9505
    y = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
    z = (0.0193 * rgb[0] + 0.1192 * rgb[1] + 0.9505 * rgb[2]) / 1.089
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_states_are_far_from_each_other_and_from_the_ground(scheme, vision):
    colours = palette(scheme)
    places = {name: seen(colours[name], vision) for name in (*STATES, "ground")}
    near = {
        pair: round(distance, 1)
        for pair in itertools.combinations(places, 2)
        if (distance := math.dist(*(places[name] for name in pair))) < FAR
    }
    assert near == {}
