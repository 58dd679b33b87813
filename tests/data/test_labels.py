import pytest

from data.labels import UnknownWord, Vocabulary


def test_usual_words_are_read_whatever_their_case() -> None:
    words = Vocabulary.build()
    assert [words.meaning(cell) for cell in ("1", "Yes", " TRUE ")] == [True] * 3
    assert [words.meaning(cell) for cell in ("0", "0.0", "absent")] == [False] * 3
    assert [words.meaning(cell) for cell in ("", "-1", "NaN")] == [None] * 3


def test_the_users_words_outweigh_the_usual_ones() -> None:
    words = Vocabulary.build(positive=["Malignant", "0"], negative=["benign"])
    assert [words.meaning(cell) for cell in ("malignant", "0", "Benign")] == [True, True, False]


def test_an_unknown_word_says_how_to_name_it() -> None:
    with pytest.raises(UnknownWord, match=r"'maybe' is neither present.*--positive"):
        Vocabulary.build().meaning("maybe")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Mass|Effusion", ("Mass", "Effusion")),
        (" Mass | Mass ", ("Mass",)),
        ("No Finding", ()),
        ("Normal", ()),
        ("unlabelled", None),
        ("", None),
        ("Mass|", ("Mass",)),
        ("odd", ()),
    ],
)
def test_a_label_list_names_findings_or_none_or_is_unlabelled(
    cell: str, expected: tuple[str, ...] | None
) -> None:
    assert Vocabulary.build(negative=["odd"]).labels(cell) == expected


def test_an_empty_separator_reads_the_cell_as_one_label() -> None:
    assert Vocabulary.build(separator="").labels("a|b") == ("a|b",)
