from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradaudit.render.names import common_prefix, describe_parameters, group_parameters

ENCODER = [f"net.encoder.{i}.{kind}" for i in range(3) for kind in ("w", "b")]
DECODER = [f"net.decoder.{i}.w" for i in range(4)]
HEAD = ["net.head.w"]


@pytest.mark.parametrize(
    ("names", "known", "told"),
    [
        ([], [], ""),
        (["w"], [], "w"),
        (["w", "w"], [], "w"),
        (["net.a", "net.b"], ENCODER, "net.a and net.b"),
        (["a", "b", "c"], [], "a, b and c"),
        (["bias", "gone", "weight"], ["weight", "bias"], "weight, bias and gone"),
        (ENCODER, [], "6 parameters under net.encoder"),
        (ENCODER, ENCODER + HEAD, "6 parameters under net.encoder"),
        (
            ENCODER + DECODER,
            ENCODER + DECODER + HEAD,
            "6 parameters under net.encoder and 4 parameters under net.decoder",
        ),
        (ENCODER + DECODER + HEAD, ENCODER + DECODER + HEAD, "11 parameters under net"),
        (ENCODER + HEAD, ENCODER + DECODER + HEAD, "6 parameters under net.encoder and net.head.w"),
        (ENCODER[::2] + DECODER[::2], ENCODER + DECODER, "5 of 10 parameters under net"),
        (list("abcd"), [], "4 parameters, among them a, b and c"),
        (list("abcd"), list("abcde"), "4 of 5 parameters, among them a, b and c"),
        (["d", "d.x", "d.y", "w"], [], "4 parameters, among them d, d.x and d.y"),
        (
            [f"p['f.{i}']" for i in "abcd"],
            [],
            "4 parameters, among them p['f.a'], p['f.b'] and p['f.c']",
        ),
        ([f"m.p['f.{i}'].{end}" for i in "ab" for end in "wb"], [], "4 parameters under m"),
        (["..", ".", "", "a..b"], [], "4 parameters, among them .., . and "),
    ],
)  # fmt: skip
def test_parameters_are_told_in_few_words(names, known, told):
    assert describe_parameters(names, known) == told


def test_a_prefix_is_made_of_whole_components():
    assert common_prefix(["net.enc1.w", "net.enc2.w"]) == ("net",)
    assert common_prefix(["net.enc", "net.enc.w"]) == ("net",)
    assert common_prefix(["a.b.w"]) == ("a", "b")
    assert common_prefix(["a", "b"]) == ()


NAMES = st.lists(st.from_regex(r"[ab](\.?[ab.]){0,6}", fullmatch=True), max_size=30)


@given(NAMES, NAMES)
def test_groups_hold_every_name_once_and_nothing_else(names, known):
    groups = group_parameters(names, known)
    grouped = [name for group in groups for name in group.names]
    assert sorted(grouped) == sorted(set(names))
    assert len(groups) <= 3


@given(NAMES, NAMES)
def test_a_group_without_remainder_is_all_there_is_under_its_prefix(names, known):
    everything = {*names, *known}
    for group in group_parameters(names, known):
        if len(group.names) > 1:
            start = f"{group.prefix}." if group.prefix else ""
            assert group.total == sum(name.startswith(start) for name in everything)
