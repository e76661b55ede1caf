"""Files answered by two processes of a Ray cluster, of which one is killed in the middle of its lines."""

import json
from dataclasses import replace
from io import StringIO

import pytest

from invented import labelled_texts, translated, world_recipe, write_world
from kill_order import ORDER
from lingraft.core.errors import DataError
from lingraft.distributed.predictions import SHARD, Answerer, Asked, digests_of, open_on_cluster
from lingraft.serving.answer_file import Request, open_file
from quick_run import run

pytestmark = pytest.mark.cluster

LINES = 2 * SHARD + 500


@pytest.fixture(scope="module")
def finished(tiny_checkpoint, ray_cluster, tmp_path_factory):
    """A run whose model kills its process in the middle of a shard where there is an order to."""
    world = write_world(tmp_path_factory.mktemp("world"))
    return run(
        world_recipe(
            world,
            ["train.num_train_epochs=1", "seeds=[1]", "device=cpu", f"output_dir={world}/run", "shots.k=1"],
            backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32},
            adapter={"name": "killing", "folder": str(ray_cluster.orders), "step": 16},
            prompt=None,
            map=None,
        )
    )


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A file of texts; some lines are empty."""
    some = [translated(text) for text, _ in labelled_texts(60)]
    lines = ["" if number % 97 == 5 else f"{some[number % 60]} {number}" for number in range(LINES)]
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_killed_process_loses_no_line_and_doubles_none(finished, texts, ray_cluster, command):
    """Standard output is, line by line, what one process writes; what Ray says of the killed one is elsewhere."""
    alone = command("predict", finished, texts)
    (ray_cluster.orders / ORDER).touch()
    together = command("predict", finished, texts, "--ray")
    assert not (ray_cluster.orders / ORDER).exists()
    assert (alone.code, together.code) == (0, 0), together.err
    assert together.out.splitlines() == alone.out.splitlines()
    assert len(together.out.splitlines()) == LINES
    assert "answering 3 shards on 2 processors on 2 nodes" in together.err


def test_what_is_wrong_with_a_row_is_said_after_the_lines_before_it(finished, ray_cluster, tmp_path):
    """In the third shard of five: the head of the CSV comes once, and the error is that of one process."""
    rows = [{"sentence": f"ada {number}", "number": number} for number in range(18)]
    del rows[9]["sentence"]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    request, alone, together = Request(form="csv"), StringIO(), StringIO()
    with pytest.raises(DataError) as expected:
        open_file(finished, path, request).answer()(alone)
    with pytest.raises(DataError) as found:
        open_on_cluster(finished, path, request, lambda text: None, rows=4)(together, advance=lambda lines: None)
    assert str(found.value) == str(expected.value)
    assert together.getvalue() == alone.getvalue()
    assert together.getvalue().count("sentence") == 1
    assert len(together.getvalue().splitlines()) == 10


def test_shards_are_read_in_any_order(finished, texts):
    """A process that takes over the shard of another one goes back in its file."""
    rows = 16
    asked = asked_for(finished, texts, rows)
    lines = StringIO()
    open_file(finished, texts, Request()).answer()(lines)
    expected = lines.getvalue().splitlines()
    answerer = Answerer(asked)
    for number in (2, 5, 0, 5, LINES // rows):
        answered = answerer({"shard": [number]})
        found = answered["lines"][0].splitlines()
        assert [one["text"] for one in map(json.loads, found)] == [
            one["text"] for one in map(json.loads, expected[number * rows : (number + 1) * rows])
        ]
        assert (answered["count"], answered["error"]) == ([len(found)], [""])


def asked_for(folder, file, rows):
    """What a process is told of a file."""
    return Asked(folder, file, Request(shape="text", form="jsonl"), digests_of(folder, file), str(folder), rows)


def test_a_node_with_another_file_is_refused(finished, texts):
    """In a line that names the node and the file; the model is not loaded."""
    asked = asked_for(finished, texts, 16)
    answered = Answerer(replace(asked, digests=asked.digests | {str(texts): "another"}))({"shard": [0]})
    (told,) = answered["error"]
    assert told.startswith("on ")
    assert f"this node has something else than there was where the work was started: {texts}; give" in told
    assert answered["lines"] == [""]


def test_standard_input_is_on_one_machine(finished):
    """So a cluster cannot read it."""
    with pytest.raises(DataError, match="--ray answers a file, which every node reads for itself"):
        open_on_cluster(finished, None, Request(), lambda text: None)
