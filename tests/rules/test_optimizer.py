"""Optimizers: GA401 beside its healthy twins."""

from __future__ import annotations

from .story import Story, at, brief


def test_what_receives_gradients_and_is_in_no_optimizer_points_at_the_construction():
    story = Story("net", "criterion")
    story.optimizer("optimizer", "net")
    story.train("net", "criterion")
    assert brief(story.finding()) == ("GA401", "warning", ("criterion",), "optimizer = SGD()")


def test_what_escaped_registration_is_an_error_at_the_line_where_it_did():
    story = Story("net.head")
    story.born("net.layers[0].weight", escaped=at("self.layers = [Linear()]"), evaluating=True)
    story.optimizer("optimizer", "net.head")
    story.train("net.head", "net.layers[0].weight")
    finding = story.finding()
    assert brief(finding) == (
        "GA401",
        "error",
        ("net.layers[0].weight",),
        "self.layers = [Linear()]",
    )
    assert "nn.ModuleList" in finding.help
    assert [link.location.source for link in finding.related] == [
        "self.layers = [Linear()]",
        "optimizer = SGD()",
        "loss.backward()",
    ]


def test_a_parameter_that_is_updated_by_hand_is_fine():
    story = Story("net", "ema")
    story.optimizer("optimizer", "net")
    for _ in range(3):
        story.zero("net", "ema")
        story.backward("net", "ema")
        story.step()
        story.update("ema")
    assert story.findings() == ()


def test_a_network_in_eval_mode_is_fine():
    story = Story("net")
    story.born("perceptual", evaluating=True)
    story.optimizer("optimizer", "net")
    story.train("net", "perceptual")
    assert story.findings() == ()


def test_an_input_that_is_attacked_is_fine():
    story = Story("net")
    story.born("x", kind="tensor")
    story.optimizer("optimizer", "net")
    for _ in range(3):
        story.zero("net", "x")
        story.backward("net", "x")
        story.read("x")
        story.step()
    assert story.findings() == ()


def test_the_networks_that_lead_to_an_optimised_input_are_fine():
    story = Story("net")
    story.born("image", kind="tensor")
    story.optimizer("optimizer", "image")
    story.train("net", "image")
    assert story.findings() == ()


def test_a_script_without_any_optimizer_is_fine():
    story = Story("net")
    for _ in range(3):
        story.backward("net")
    assert story.findings() == ()


def test_a_parameter_whose_gradient_is_read_is_what_the_script_is_after():
    story = Story("net", "probe")
    story.optimizer("optimizer", "net")
    for _ in range(3):
        story.zero("net", "probe")
        story.backward("net", "probe")
        story.read("probe")
        story.step()
    assert story.findings() == ()
