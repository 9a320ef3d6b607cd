"""`Results`: which images pass a filter, and in which order."""

import numpy as np
import pytest

from cifar_tui.runs.results import ImageFilter, SortKey
from tests.runs.made_results import make_results

TARGETS, PREDICTED = [0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 0, 2]


@pytest.fixture
def results():
    return make_results(
        TARGETS,
        PREDICTED,
        confidences=[0.9, 0.5, 0.9, 0.4, 0.8, 0.7],
        losses=[0.1, 2.0, 0.1, 0.9, 3.0, 0.4],
        files=[
            "test/a/One.png",
            "test/a/two.png",
            "test/b/one.png",
            "test/b/3.png",
            "test/c/4.png",
            "c/x.png",
        ],
    )


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"descending": True}, [5, 4, 3, 2, 1, 0]),
        ({"truth": 0}, [0, 1]),
        ({"predicted": 1}, [1, 2, 3]),
        ({"truth": 0, "predicted": 1}, [1]),
        ({"wrong_only": True}, [1, 4]),
        ({"truth": 1, "wrong_only": True}, []),
        ({"text": "ONE"}, [0, 2]),
        ({"sort": SortKey.CONFIDENCE}, [3, 1, 5, 4, 0, 2]),
        ({"sort": SortKey.CONFIDENCE, "descending": True}, [0, 2, 4, 5, 1, 3]),
        ({"sort": SortKey.LOSS, "descending": True, "wrong_only": True}, [4, 1]),
    ],
)
def test_filters_and_order(results, chosen, expected):
    assert results.selected(ImageFilter(**chosen)).tolist() == expected


def test_the_matrix_and_the_classes_are_those_of_the_predictions(results):
    assert np.array_equal(results.confusion, [[1, 1, 0], [0, 2, 0], [1, 0, 1]])
    assert [entry.recall for entry in results.classes] == [0.5, 1.0, 0.5]
