"""What each filter takes, and what it leaves."""

import sys
from dataclasses import replace

import pytest

from lingraft.core.errors import ConfigError
from lingraft.core.examples import PairExample
from lingraft.core.records import Prediction
from lingraft.pseudo.filters import Filter, Setting, filters
from lingraft.tasks import tasks
from lingraft.tasks.kinds.word_splitting import split_words
from pseudo.sources import SOURCE, TARGET, classification_sources

ECHO = {"name": "command", "command": [sys.executable, "-c", "import sys; sys.stdout.write(sys.stdin.read())"]}
OPTIONS = {"round-trip": {"translator": ECHO}}


def texts(*said, label="nature", group=None, origin="maker"):
    """Made examples that say this."""
    return [
        PairExample(f"m{i}", group or f"m{i}", TARGET, origin, 0.5, text_a=text, label=label)
        for i, text in enumerate(said)
    ]


def reasons(name, examples, *, evaluation=(), mixed=(), options=None, **changed):
    """Why a filter takes each example away."""
    setting = Setting(classification_sources(**changed), tuple(evaluation), frozenset(mixed))
    return list(filters.build(name, OPTIONS.get(name, {}) | (options or {})).judge(examples, setting))


@pytest.mark.parametrize("name", filters.names())
def test_a_filter_gives_each_example_a_reason_or_none_the_same_every_time(name):
    """Also where there is nothing to judge, or nothing to compare with."""
    built = filters.build(name, OPTIONS.get(name))
    assert isinstance(built, Filter)
    made = texts("omi náà yára", "the fast water in New York", "")
    found = reasons(name, made)
    assert len(found) == 3
    assert found == reasons(name, made)
    assert reasons(name, []) == []
    bare = Setting(replace(classification_sources(), labelled=(), pairs=(), shots=(), texts=(), predict=None))
    assert len(built.judge(made, bare)) == 3


def test_length_is_compared_with_the_median_of_labelled_texts():
    """26, 24, 13 and 3 characters: the median is 18.5, so 5 are too few and 56 too many."""
    made = texts("x" * 5, "x" * 6, "x" * 55, "x" * 56)
    assert reasons("length", made) == ["too short", "", "", "too long"]
    assert reasons("length", made, options={"least": 0.0, "most": 10.0}) == ["", "", "", ""]


def test_a_chinese_character_is_as_long_as_three_letters():
    """And so is a kana; a syllable of Amharic, or a Thai letter, is one."""
    made = texts("水", "水水", "みず", "ውሃ", "น้ำ", "水" * 18, "水" * 19)
    assert reasons("length", made) == ["too short", "", "", "too short", "too short", "", "too long"]


@pytest.mark.shared
def test_what_people_wrote_is_hardly_ever_too_short_or_too_long(shared_data):
    """Sentences of SIB-200 in all languages with a training set, beside the English ones."""
    languages = [path.name.split(".")[0] for path in sorted((shared_data / "sib200").glob("*.train.tsv.gz"))]
    languages.remove("eng_Latn")
    task = tasks.build(
        "sib200",
        {"data_dir": str(shared_data / "sib200"), "source_language": "eng-Latn", "target_languages": languages},
    )
    labelled = list(task.examples("eng-Latn", "train"))
    shares = {}
    for language in task.target_languages:
        found = reasons("length", list(task.examples(language, "train")), labelled=labelled, shots=())
        shares[language] = sum(map(bool, found)) / len(found)
    assert len(shares) > 20
    assert "zho-Hans" in shares
    assert max(shares.values()) < 0.02


def test_duplicates_are_told_from_what_people_labelled():
    """Case and blanks do not make another text."""
    made = texts("ilé kan", "Ilé  kan", "a fast horse, a fast win", "omi")
    assert reasons("duplicates", made) == [
        "", "made twice", "people labelled the same text", "people labelled the same text",
    ]  # fmt: skip


def test_overlap_is_a_run_of_words_in_any_evaluation_text():
    """Eight in a row, punctuation apart; seven are no proof."""
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    test = PairExample("t", "t", SOURCE, text_a=" ".join(words), label="nature")
    made = texts(f"So: {', '.join(words[1:])}!", " ".join(words[:7]), " ".join(words[:4] + words[5:]))
    assert reasons("overlap", made, evaluation=[test]) == ["shares 8 words in a row with an evaluation text", "", ""]
    assert [bool(reason) for reason in reasons("overlap", made, evaluation=[test], options={"words": 4})] == [True] * 3


UNSPACED = {
    "Chinese": "土耳其三面环海，西面是爱琴海，北面是黑海，南面则是地中海。",
    "Japanese": "トルコは三方を海に囲まれており、西にはエーゲ海、北には黒海があります。",
    "Thai": "ประเทศตุรกีล้อมรอบด้วยทะเลสามด้าน คือทะเลอีเจียนทางตะวันตก",
    "Lao": "ປະເທດຕວກກີອ້ອມຮອບດ້ວຍທະເລສາມດ້ານ ຄືທະເລອີຈຽນທາງຕາເວັນຕົກ",
    "Khmer": "ប្រទេសតួកគីព័ទ្ធជុំវិញដោយសមុទ្រទាំងបីទិស គឺសមុទ្រអេហ្សេនៅខាងលិច",
    "Burmese": "တူရကီနိုင်ငံကို ပင်လယ်သုံးဘက်က ဝိုင်းထားပြီး အနောက်ဘက်တွင် အေဂျီယံပင်လယ်ရှိသည်",
    "Tibetan": "ཐུར་ཀིའི་ཕྱོགས་གསུམ་རྒྱ་མཚོས་བསྐོར་ཡོད་པ་དང་ནུབ་ཕྱོགས་སུ་ཨེ་ཇེན་རྒྱ་མཚོ་ཡོད།",
}


@pytest.mark.parametrize("language", UNSPACED)
def test_overlap_is_a_run_of_characters_where_no_blanks_part_words(language):
    """A text that has another in it, or half of it, gives it away; a name of few characters does not."""
    text = UNSPACED[language]
    test = PairExample("t", "t", TARGET, text_a=text, label="nature")
    half = [text[first:last] for first, last in split_words(text)][: len(split_words(text)) // 2 + 3]
    made = texts(f"Ada: {text} (Beli)", f"“{text}”", "".join(half[:4]), "Ada 2024 Beli")
    found = [bool(reason) for reason in reasons("overlap", made, evaluation=[test])]
    assert found == [True, True, False, False]
    assert [bool(one) for one in reasons("overlap", texts("".join(half)), evaluation=[test], options={"words": 4})] == [
        True
    ]


def test_overlap_counts_two_characters_as_a_word_beside_words_between_blanks():
    """Six words and four characters in a row are eight words; six and three are not, nor are seven words."""
    said = "one two three four five six 土耳其国 seven eight"
    test = PairExample("t", "t", TARGET, text_a=said, label="nature")
    made = texts(
        "one two three four five six 土耳其国", "one two three four five six 土耳其",
        "two three four five six 土耳其国",
        "six five four three two one 国其耳土", "six 土耳其国 seven eight",
    )  # fmt: skip
    assert [bool(one) for one in reasons("overlap", made, evaluation=[test])] == [True, False, False, False, False]
    assert [bool(one) for one in reasons("overlap", made, evaluation=[test], options={"words": 5})][4]


@pytest.mark.shared
def test_no_sentence_that_people_wrote_on_their_own_shares_a_run_with_an_evaluation_text(shared_data):
    """Training and test sentences of SIB-200 in Chinese and English: what one takes, so does the other."""
    task = tasks.build(
        "sib200",
        {"data_dir": str(shared_data / "sib200"), "source_language": "eng-Latn", "target_languages": ["zho-Hans"]},
    )
    for language in ("eng-Latn", "zho-Hans"):
        train, test = (list(task.examples(language, split)) for split in ("train", "test"))
        taken = [bool(one) for one in reasons("overlap", train, evaluation=test)]
        assert sum(taken) / len(taken) < 0.01


def test_copies_of_the_original_are_taken_by_its_group():
    """Two of four words are the original's; and the whole of it, which is another example's, too."""
    made = [*texts("the fast omi yára", "The fast water", group="g1"), *texts("the fast water")]
    assert reasons("source-copies", made) == ["", "its words are those of its original", ""]
    assert [bool(one) for one in reasons("source-copies", made, options={"most": 0.4})] == [True, True, False]


ENGLISH = [f"the {a} of the {b} is near the {c}" for a in ("house", "river") for b in ("king", "child") for c in
           ("water", "market", "road", "field", "church")]  # fmt: skip
YORUBA = [f"{a} ti {b} wà nítòsí {c} náà" for a in ("ilé", "odò") for b in ("ọba", "ọmọ") for c in
          ("omi", "ọjà", "ọ̀nà", "oko", "ìjọ")]  # fmt: skip


def test_the_language_is_that_of_the_likelier_characters():
    """Sentences that neither side has; mixed ones only where they are not meant to be mixed."""
    labelled = [PairExample(f"{i}", f"{i}", SOURCE, text_a=text, label="nature") for i, text in enumerate(ENGLISH)]
    made = texts("the market of the child", "ọjà ti ọmọ náà", "the church near ọba")
    given = {"labelled": labelled, "texts": YORUBA, "pairs": ()}
    assert reasons("language", made, **given) == [
        "reads like the source language", "", "reads like the source language",
    ]  # fmt: skip
    assert reasons("language", made, mixed=["maker"], **given) == ["", "", ""]
    assert reasons("language", made, **(given | {"texts": YORUBA[:5]})) == ["", "", ""]  # too few to tell


def test_code_switched_copies_are_no_text_of_the_target_language():
    """Half of their words are English ones, so English would read like the target."""
    labelled = [PairExample(f"{i}", f"{i}", SOURCE, text_a=text, label="nature") for i, text in enumerate(ENGLISH)]
    copies = [
        (one, replace(one, language=TARGET, origin="code-switching", text_a=one.text_a.replace("near", "nítòsí")))
        for one in labelled * 5
    ]
    made = texts("the market of the child", "ọjà ti ọmọ náà", "a child near the road")
    given = {"labelled": labelled, "texts": YORUBA}
    alone = reasons("language", made, pairs=(), **given)
    assert alone == ["reads like the source language", "", "reads like the source language"]
    assert reasons("language", made, pairs=copies, **given) == alone
    few = {"labelled": labelled, "texts": YORUBA[:3], "pairs": copies}
    assert reasons("language", made, **few) == ["", "", ""]  # copies do not make text of the language


def test_confidence_keeps_the_surest_of_each_class():
    """Three of five that are "nature", one of one that is "sport", though the model doubts it most."""
    chances = [0.9, 0.2, 0.8, 0.7, 0.1, 0.4]
    made = [*texts(*"abcde"), replace(texts("f", label="sport")[0], id="f")]

    def predict(examples, language):
        assert language == TARGET
        return [
            Prediction(e.id, TARGET, "nature", c, probabilities=(c, 1 - c))
            for e, c in zip(examples, chances, strict=False)
        ]

    found = [bool(reason) for reason in reasons("confidence", made, predict=predict)]
    assert found == [False, True, False, False, True, False]


def test_a_round_trip_must_come_back_to_the_original():
    """A translator that changes nothing: what is the original comes back as it, anything else does not."""
    made = [*texts("The fast water in New York", "ohun mìíràn", group="g1"), *texts("ohun mìíràn")]
    assert reasons("round-trip", made) == ["", "translated back it says something else", ""]


def test_lengths_between_which_nothing_is_are_refused():
    """Every example would be taken."""
    with pytest.raises(ConfigError, match="expected least < most, got 3 and 1"):
        filters.build("length", {"least": 3, "most": 1})
