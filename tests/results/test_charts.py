"""Charts are deterministic, well-formed SVG that shows the numbers it was given."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from lingraft.results import charts
from lingraft.results.drawing import spread
from lingraft.results.findings import Bin, Estimate, Result
from lingraft.results.units import unit_of

SVG = "{http://www.w3.org/2000/svg}"


def result(name="Yoruba", shots=5, before=0.24, after=0.52, low=0.46, high=0.58):
    """One row of the chart of results."""
    estimates = {"before": Estimate(before, before - 0.05, before + 0.05), "after": Estimate(after, low, high)}
    return Result(
        language="yor-Latn", name=name, shots=shots, gain=Estimate(after - before), second_before=None,
        second_after=None, draw_means=(after,), seeds=1, n=612, majority=0.2, **estimates,
    )  # fmt: skip


def results(*rows):
    """The chart of results."""
    return charts.before_after(rows)


POINTS = [[0.0, 0.0], [1.0, 2.0], [2.0, 1.0]]
CURVE = [(0, 2.0), (10, 1.0), (20, 0.5)]
CALLS = {
    "results": lambda: results(result(), result("Quechua", after=0.2)),
    "narrow": lambda: charts.before_after([result(), result("Quechua", after=0.2)], narrow=True),
    "losses": lambda: charts.losses(CURVE, CURVE, CURVE, CURVE),
    "dev": lambda: charts.dev_score([(0, 0.2), (10, 0.5)], [[(0, 0.1), (10, 0.4)]]),
    "layers": lambda: charts.layer_strip(12, 8, [("task", 24_576), ("Yoruba", 98_688)], 1_925),
    "states": lambda: charts.state_pairs("Before", POINTS, POINTS[::-1], ("English", "Yoruba"), POINTS),
    "confusion": lambda: charts.confusion_matrix([[3, 1], [0, 4]], ["music", "trade"]),
    "reliability": lambda: charts.reliability_diagram([Bin(0.3, 0.2, 9)], [Bin(0.4, 0.5, 8), Bin(0.9, 0.7, 8)]),
}


def texts(svg):
    """Everything written in a chart."""
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_correlations_are_numbers_on_an_axis_that_holds_the_negative_ones():
    """Dots that lie below zero are drawn; nothing is in percent."""
    kappa = replace(result(before=-0.24, after=0.31, low=0.2, high=0.4), metric="quadratic_kappa", majority=0.0)
    shown = [one.replace("\u2212", "-") for one in texts(results(kappa))]
    assert {"-0.24 before", "0.31 after", "0.2"} <= set(shown)
    assert not any("%" in one for one in shown if one != "quadratic kappa on test texts, 95 % interval")
    assert "best 0.31" in texts(charts.dev_score([(0, -0.1), (10, 0.31)], [], unit_of("spearman")))


def test_what_closed_form_gives_stands_between_before_and_after():
    """Where it is known; a row without it has two dots."""
    with_instant = replace(result(), instant=Estimate(0.4, 0.35, 0.45))
    shown = [one.replace("\u00a0", " ") for one in texts(results(with_instant))]
    assert [one for one in shown if one.endswith(("before", "instant", "after"))] == [
        "24 % before",
        "40 % instant",
        "52 % after",
    ]
    assert not any("instant" in one for one in texts(results(result())))


@pytest.fixture(params=CALLS)
def draw(request):
    """Each chart in turn."""
    return CALLS[request.param]


def test_chart_is_an_element_that_describes_itself(draw):
    """A chart parses, has no prologue, and says to a screen reader what it is."""
    svg = draw()
    root = ElementTree.fromstring(svg)

    assert svg.startswith("<svg")
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert "metadata" not in svg


def test_chart_is_the_same_every_time(draw):
    """The same data gives the same bytes, whatever was drawn in between."""
    first = draw()
    CALLS["losses"]()

    assert draw() == first


def test_chart_loads_nothing(draw):
    """References stay inside the chart, and every one of them has its target."""
    svg = draw()
    targets = set(re.findall(r'\bid="([^"]+)"', svg))
    references = re.findall(r'href="([^"]*)"|url\(([^)]*)\)', svg)

    for link, clip in references:
        assert (link or clip).removeprefix("#") in targets
        assert (link or clip).startswith("#")


def test_chart_takes_its_colours_from_the_page(draw):
    """Every colour is a variable of the page, so that a chart follows it into dark mode."""
    svg = draw()

    assert "var(--" in svg
    assert not re.sub(r"var\(--\w+, #[0-9a-f]{6}\)", "", svg).count(": #")


def test_settings_of_matplotlib_stay_as_they_were(draw):
    """Drawing leaves no trace in matplotlib's global settings."""
    before = dict(mpl.rcParams)
    draw()

    assert dict(mpl.rcParams) == before


def test_charts_of_one_page_share_no_identifier():
    """Different charts may stand in one document."""
    found = [identifier for draw in CALLS.values() for identifier in re.findall(r'\bid="([^"]+)"', draw())]

    assert len(found) == len(set(found))


def test_results_are_labelled_with_their_values():
    """Names, values before and after, and the baseline of the most frequent label can be read."""
    said = [text.replace("\u00a0", " ") for text in texts(results(result(), result("Quechua", after=0.2, low=0.1)))]

    for expected in ("Yoruba", "24 % before", "52 % after", "Quechua", "20 %", "always the most frequent label"):
        assert expected in said


def test_the_values_have_the_digits_that_the_sentences_give_them():
    """Where whole percents would contradict the difference that the text says, the chart has one digit more too."""
    said = [text.replace("\u00a0", " ") for text in texts(results(result(before=0.954, after=0.926)))]

    assert {"95.4 % before", "92.6 % after"} <= set(said)


def test_results_at_several_shots_name_a_language_once():
    """With several numbers of shots, each row says its own, below one name."""
    said = texts(results(result(shots=2), result(shots=8)))

    assert said.count("Yoruba") == 1
    assert {"2 shots", "8 shots"} <= set(said)


def test_a_narrow_chart_says_the_same_above_its_rows():
    """As many names, shots and values; the dotted line is told below."""
    rows = [result(shots=1), result(shots=8), result("A name that is much too long for half a phone", shots=8)]
    wide, narrow = (set(texts(charts.before_after(rows, narrow=one))) for one in (False, True))

    assert {"Yoruba", "1 shot", "8 shots"} <= wide
    assert {"Yoruba · 1 shot", "8 shots", "A name that is much too long fo… · 8 shots"} <= narrow
    assert {"24\u00a0% before", "52\u00a0% after", "52\u00a0%"} <= wide & narrow
    assert "dotted: always the most frequent label" in narrow


@pytest.mark.parametrize("cut", [-1, 0, 8, 11, 12])
def test_what_is_above_the_cut_is_said_where_there_is_something(cut):
    """Within the picture; behind the last layer nothing runs."""
    svg = charts.layer_strip(12, cut, [("task", 24_576)], 1_925)
    width = float(ElementTree.fromstring(svg).get("width"))
    above = [one for one in ElementTree.fromstring(svg).iter(f"{SVG}text") if one.text == "frozen, run every step"]

    assert len(above) == (cut < 12)
    for one in above:
        left = float(one.get("x") or re.search(r"translate\(([\d.]+)", one.get("transform"))[1])
        assert left + 7.5 * len(one.text) <= width + 2


@pytest.mark.parametrize("name", ["Èdè Yorùbá & ọmọ", "हिन्दी", "<script>", "$x_1$"])
def test_names_of_every_script_stay_text(name, recwarn):
    """A name arrives as it is: not drawn as boxes, not as markup, not as a formula."""
    svg = results(result(name))

    assert name in texts(svg)
    assert "<script" not in svg
    assert not recwarn.list


def test_results_without_numbers_are_drawn():
    """A language whose baseline or interval is missing keeps its row."""
    bare = Result("x", "Bare", 0, None, Estimate(0.4), None, None, None, (), 0, 0, None)

    assert "Bare" in texts(results(bare))


def test_labels_at_one_height_are_moved_apart():
    """Labels keep their order and a minimal gap."""
    assert spread([1.0, 0.0, 1.1], 0.5) == [1.0, 0.0, 1.5]


def test_confusion_counts_are_written():
    """Counts above zero can be read, and long labels are shortened."""
    said = texts(charts.confusion_matrix([[31, 0], [7, 4]], ["a" * 30, "trade"]))

    assert {"31", "7", "4", "trade", "a" * 17 + "…"} <= set(said)
    assert "0" not in said


def test_a_confusion_matrix_of_many_classes_has_no_element_for_each_empty_cell():
    """One for each count and a few for each class; those that are shown keep their share of all of a class."""
    counts = [[3 * (gold == predicted) + (predicted == 0) for predicted in range(100)] for gold in range(100)]
    names = [f"class {number}" for number in range(100)]
    every, some = (charts.confusion_matrix(counts, names, shown) for shown in (None, [1, 99]))
    assert every.count("<path") < 199 + 2 * 101 + 10
    assert {one for one in texts(some) if one.startswith("class")} == {"class 1", "class 99"}
    assert some.count("opacity: 0.75") == 2


def test_wide_letters_are_given_their_room():
    """A label of Chinese is as wide as one that has twice as many Latin letters."""
    chinese, latin = (charts.confusion_matrix([[1]], [label]) for label in ("音" * 30, "a" * 17))
    assert f"{'音' * 8}…" in texts(chinese)
    width = re.compile(r'width="(\d+)"')
    assert width.search(chinese)[1] == width.search(latin)[1]


@pytest.mark.parametrize(("layers", "cut"), [(12, 0), (12, 8), (12, 12), (2, 1), (48, 30)])
def test_layer_strip_fits_every_network(layers, cut):
    """Shallow and deep networks, cut anywhere, show the cut and what was trained."""
    said = texts(charts.layer_strip(layers, cut, [("task", 10)], 0))

    assert f"cut {cut}" in said
    assert "task · 10" in said


def test_layer_strip_tells_what_is_not_frozen():
    """Layers that were trained are not called frozen, and without a cut training begins at the embeddings."""
    svg = charts.layer_strip(12, -1, [("backbone, copies", 10)], 0, frozen=False)
    said = texts(svg)

    assert {"no cut", "run every step"} <= set(said)
    assert not [text for text in said if "frozen" in text]
    assert "12 layers; everything trained may sit anywhere" in svg
    assert "12 frozen layers; everything trained sits above layer 8" in charts.layer_strip(12, 8, [], 0)


def test_layer_strip_tells_of_lora_in_all_layers():
    """It has a row of its own, and what lies below the cut is not said to have been computed once."""
    svg = charts.layer_strip(12, 6, [("task", 10)], 0, lora=1_234)
    said = texts(svg)

    assert {"LoRA in all layers, last epochs · 1,234", "task · 10", "frozen, cached at first"} <= set(said)
    assert "everything trained sits above layer 6, in the last epochs LoRA in all layers too" in svg


def test_empty_slices_make_no_curve():
    """Slices of confidence with too few texts are left out, even if all are."""
    assert "after" not in texts(charts.reliability_diagram([], [Bin(0.5, 0.0, 1)]))
