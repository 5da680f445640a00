import xml.etree.ElementTree as ElementTree

from tests.benchmarks.callback_latency import Result, span, table
from tests.benchmarks.plot import Row, plot

SVG = "{http://www.w3.org/2000/svg}"
PARTS = ("triggerer", "api-server")


def test_the_picture_has_a_dot_for_each_duration_inside_its_frame() -> None:
    rows = [Row("callbacks, 10 <tasks>", [0.02, 0.7, 1.1]), Row("polling", [49.0, 300.0])]
    picture = ElementTree.fromstring(plot("How soon", rows))
    dots = picture.findall(f"{SVG}circle")
    assert len(dots) == 5
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    assert all(0 < float(dot.attrib["cx"]) < width for dot in dots)
    assert all(0 < float(dot.attrib["cy"]) < height for dot in dots)
    assert "callbacks, 10 <tasks>" in [text.text for text in picture.findall(f"{SVG}text")]


def test_the_table_tells_median_percentile_and_longest() -> None:
    loads = dict.fromkeys(PARTS, 0.25)
    result = Result("polling", 10, shown=[1.0], scheduled=[3.0, 1.0, 2.0], idle=loads, busy=loads)
    assert "| polling | 10 | 1.00 / 1.00 / 1.00 | 2.00 / 3.00 / 3.00 | - | 25% / 25% | 25% / 25% |" in table(
        [result]
    )


def test_nothing_measured_is_a_dash() -> None:
    assert span([]) == "-"
