"""A lexicon from the frozen backbone and unlabelled text."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from invented import SOURCE, TARGET, TRANSLATION, world_recipe, write_world
from lingraft.core.examples import ParallelPair
from lingraft.data.augmentation.code_switching import CODE_SWITCHING
from lingraft.data.augmentation.lexicon_mining import frequent_words, mine_lexicon, mutual_neighbours
from lingraft.runs.mined_lexicon import mined_entries, word_vectors
from lingraft.tasks.gathering import gather
from tiny import WORDS

CPU = torch.device("cpu")


def slow_mutual_neighbours(source, target, neighbours):
    """The definition, a pair of words at a time."""

    def centred(rows):
        rows = [row - sum(rows) / len(rows) for row in rows]
        return [row / row.norm() for row in rows]

    a, b = centred(list(source)), centred(list(target))
    cosine = [[float(x @ y) for y in b] for x in a]
    columns = list(zip(*cosine, strict=True))

    def mean_of_nearest(values):
        nearest = sorted(values, reverse=True)[:neighbours]
        return sum(nearest) / len(nearest)

    csls = [
        [2 * cosine[i][j] - mean_of_nearest(cosine[i]) - mean_of_nearest(columns[j]) for j in range(len(b))]
        for i in range(len(a))
    ]
    best = [max(range(len(b)), key=lambda j: csls[i][j]) for i in range(len(a))]
    back = [max(range(len(a)), key=lambda i: csls[i][j]) for j in range(len(b))]
    return {(i, j): csls[i][j] for i, j in enumerate(best) if back[j] == i}


@pytest.mark.parametrize(("n", "m", "neighbours"), [(9, 12, 3), (12, 5, 10), (4, 4, 1)])
def test_neighbours_agree_with_the_definition(n, m, neighbours):
    """The same pairs with the same scores, best first."""
    generator = torch.Generator().manual_seed(n)
    source, target = torch.randn(n, 6, generator=generator), torch.randn(m, 6, generator=generator)
    found = mutual_neighbours(source, target, neighbours=neighbours)
    assert {(i, j): pytest.approx(s, abs=1e-5) for i, j, s in found} == slow_mutual_neighbours(
        source, target, neighbours
    )
    assert [s for _, _, s in found] == sorted((s for _, _, s in found), reverse=True)


def test_a_language_that_is_moved_aside_is_found_again():
    """The same words in another order and place are all found: each language is centred."""
    source = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    found = mutual_neighbours(source, source[order] + 5.0)
    assert {(i, int(order[j])) for i, j, _ in found} == {(i, i) for i in range(20)}


def test_no_words_are_no_pairs():
    """An empty side is not an error."""
    assert mutual_neighbours(torch.zeros(0, 4), torch.randn(3, 4)) == []


def test_frequent_words_come_first():
    """Counted without regard to case; digits and single letters are no words."""
    texts = ["Water water fire", "fire WATER a 2nd x", "earth"]
    assert frequent_words(texts, max_words=9, min_count=1) == ["water", "fire", "earth"]
    assert frequent_words(texts, max_words=9, min_count=2) == ["water", "fire"]
    assert frequent_words(texts, max_words=1) == ["water"]


def test_a_word_is_encoded_alone(tiny_backbone):
    """Its vector does not depend on what else is encoded."""
    together = word_vectors([WORDS[0], f"{WORDS[1]} {WORDS[2]}", WORDS[3]], tiny_backbone, CPU)
    alone = word_vectors([WORDS[3]], tiny_backbone, CPU)
    torch.testing.assert_close(together[2:], alone)


def embedder(backbone):
    """Words to vectors, as a run embeds them."""
    return partial(word_vectors, backbone=backbone, device=CPU)


def test_words_that_are_spelt_alike_are_left_out(tiny_backbone):
    """What both languages share needs no translation."""
    texts = [" ".join(WORDS)]
    assert mine_lexicon(texts, texts, embedder(tiny_backbone), min_score=-9) == []


@pytest.fixture
def world(tmp_path):
    """The invented tables, and unlabelled text of the target language, a test sentence in it."""
    write_world(tmp_path)
    pairs = (tmp_path / f"pairs.{TARGET}.tsv").read_text(encoding="utf-8").splitlines()[1:]
    tested = (tmp_path / f"{TARGET}.test.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[1]
    lines = [*(line.split("\t")[1] for line in pairs), tested]
    (tmp_path / f"text.{TARGET}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_the_lexicon_is_kept_in_the_run_folder(world, tiny_backbone):
    """A run that continues reads what it mined before."""
    found = gather(world_recipe(world, parallel={"text": str(world / "text.{language}.txt")}))
    said = []
    mined = mined_entries(found, tiny_backbone, CPU, world / "run", said.append)
    file = world / "run" / "mined" / f"{TARGET}.tsv"
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(said) == 2
    assert [(p.source, p.target) for p in mined[TARGET]] == [tuple(line.split("\t")[:2]) for line in lines[1:]]
    assert {p.source for p in mined[TARGET]} <= set(WORDS[:16])
    assert {p.target for p in mined[TARGET]} <= set(WORDS[16:])
    file.write_text(f"{lines[0]}\nada\tquna\t1.0\n", encoding="utf-8")
    (again,) = mined_entries(found, tiny_backbone, CPU, world / "run", said.append)[TARGET]
    assert (again.source, again.target, len(said)) == ("ada", "quna", 2)
    fewer = replace(found, unlabelled={TARGET: found.unlabelled[TARGET][:-1]})
    mined_entries(fewer, tiny_backbone, CPU, world / "run", said.append)
    assert len(said) == 4  # of other texts it is mined anew
    assert file.read_text(encoding="utf-8").splitlines()[0] != lines[0]


def test_mined_words_are_switched(world):
    """Texts alone give no pairs yet; with the mined words, copies. Evaluation texts are not read."""
    recipe = world_recipe(world, parallel={"text": str(world / "text.{language}.txt")})
    before = gather(recipe)
    assert before.draws[0].pairs[TARGET] == ()
    assert (len(before.unlabelled[TARGET]), before.overlap["parallel"]) == (24, 1)
    mined = [ParallelPair(a, b, SOURCE, TARGET) for a, b in TRANSLATION.items()]
    after = gather(recipe, mine=lambda materials: {TARGET: mined})
    found = after.draws[0].pairs[TARGET]
    assert len(found) > 20
    assert {target.origin for _, target in found} == {CODE_SWITCHING}
