"""Views that torch refuses to answer questions about."""

from __future__ import annotations

import pytest
import torch

from gradaudit.observe.leaves import connected, is_leaf


def test_a_view_made_under_no_grad_whose_base_has_changed_since_is_no_leaf_and_in_no_graph():
    base = torch.zeros(4, 4)
    with torch.no_grad():
        view = base[1]
    assert is_leaf(view)
    base.mul_(torch.ones(4, 4, requires_grad=True))
    with pytest.raises(RuntimeError, match="created in no_grad mode"):
        _ = view.is_leaf
    assert not is_leaf(view)
    assert connected(base)
