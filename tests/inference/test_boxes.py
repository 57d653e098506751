"""Files of boxes."""

from __future__ import annotations

import re

import pytest

import poseact
from poseact.inference.boxes import read_boxes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source,frame,x0\n", "lack the columns y0, x1, y1"),
        ("source,frame,x0,y0,x1,y1\na.png,0,1,2,3,four\n", "Line 2"),
        ("source,frame,x0,y0,x1,y1\na.png,0.5,1,2,3,4\n", "Line 2"),
        ("source,frame,x0,y0,x1,y1\na.png,0,1\n", "Line 2"),
        ("source,frame,x0,y0,x1,y1\na.png,0,1,2,nan,4\n", "Line 2"),
        ("source,frame,x0,y0,x1,y1\na.png,-1,1,2,3,4\n", "not a whole number from 0"),
    ],
)
def test_bad_boxes(text, message, tmp_path):
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(poseact.PoseActError, match=message):
        read_boxes(tmp_path / "boxes.csv")


@pytest.mark.parametrize(
    "text",
    [
        "source,frame,x0,y0,x1,y1\na,0,1,2,3,4\na,1,1,2,nan,4\na,2,5,2,3,4\na,3.0,1,2,3,4\n,,,,,\n",
        "sep=;\n Source;Frame;X0;Y0;X1;Y1\na;0;1,0;2;3;4\na;1;1;2;?;4\na;3;1;2;3;4\n",
    ],
)
def test_rows_that_are_no_boxes_are_left_out(text, tmp_path, caplog):
    (tmp_path / "boxes.csv").write_text(text)
    boxes = read_boxes(tmp_path / "boxes.csv")
    assert boxes == {"a": {0: [(1, 2, 3, 4)], 3: [(1, 2, 3, 4)]}}
    assert re.search(r"Line \d of the boxes .* is not a box", caplog.text)
    assert ".)" not in caplog.text  # a sentence within the sentence
