import pandas as pd
import pytest

from study.analysis.columns import canonicalise, natural_order
from study.analysis.estimate import AnalysisError


def ours(**change):
    """Return four ratings in the columns of our own export."""
    columns = {
        "study": "s1",
        "reader": ["r1", "r1", "r2", "r2"],
        "case_id": ["001", "001", "001", "001"],
        "finding": "Mass",
        "condition": ["A", "B", "A", "B"],
        "session": [1, 2, 1, 2],
        "item": "confidence",
        "value": [1, 2, 3, 4],
        "correctness": "true_positive",
        "simulated": False,
    }
    return pd.DataFrame(columns | change)


def test_our_own_columns_pass_through():
    ratings = canonicalise(ours())
    assert list(ratings.frame["value"]) == [1.0, 2.0, 3.0, 4.0]
    assert set(ratings.frame["case_id"]) == {"001"}
    assert ratings.items == ("confidence",)
    assert ratings.notes == ()


def test_the_columns_of_the_published_study_are_recognised():
    table = pd.DataFrame(
        {
            "case": [1, 1],
            "reader": [1, 1],
            "read": [0, 1],
            "arm": ["A", "B"],
            "arm_name": ["Traditional", "Latent Shift"],
            "pathology": "Mass",
            "label": 1,
            "true_positive": True,
            "prediction": 0.7,
            "question": "confidence",
            "rating": [3, 4],
            "iou_latentshift_max": 0.2,
            "iou_grad": 0.1,
            "iou_guided": 0.1,
            "iou_integrated": 0.1,
        }
    )
    ratings = canonicalise(table)
    assert dict(ratings.columns)["condition"] == "arm"
    assert dict(ratings.columns)["session"] == "read"
    row = ratings.frame.iloc[0]
    assert (row["reader"], row["case_id"], row["finding"]) == ("1", "1", "Mass")
    assert (row["correctness"], row["reference"], row["probability"]) == ("true_positive", 1, 0.7)
    assert ratings.maps_of("A") == ("grad", "guided", "integrated")
    assert ratings.maps_of("B") == ("latentshift_max",)


def test_names_are_recognised_whatever_their_case_blanks_and_hyphens():
    table = ours().rename(columns={"case_id": "Case ID", "reader": " Reader-ID ", "value": "SCORE"})
    assert dict(canonicalise(table).columns)["reader"] == " Reader-ID "


def test_a_column_named_by_hand_overrules_recognition():
    table = ours(trust=[5, 5, 5, 5])
    ratings = canonicalise(table, {"value": "trust"})
    assert list(ratings.frame["value"]) == [5.0] * 4


def test_without_an_item_column_the_item_is_the_column_of_ratings():
    table = ours().drop(columns="item").rename(columns={"value": "trust"})
    assert canonicalise(table, {"value": "trust"}).items == ("trust",)


def test_text_and_number_cells_mean_the_same():
    as_text = ours().astype(str)
    pd.testing.assert_frame_equal(
        canonicalise(as_text).frame, canonicalise(ours()).frame, check_dtype=False
    )


def test_a_missing_column_is_named_with_what_was_found_and_what_is_understood():
    with pytest.raises(AnalysisError) as failure:
        canonicalise(ours().drop(columns="reader"))
    text = str(failure.value)
    assert "lacks reader" in text
    assert "reader_id" in text
    assert "'case_id'" in text
    assert "--column reader=" in text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rating": "value"}, "no column 'rating' to assign"),
        ({"value": "trust"}, "no column 'trust' to serve as 'value'"),
    ],
)
def test_an_assignment_that_leads_nowhere_is_refused(given, words):
    with pytest.raises(AnalysisError, match=words):
        canonicalise(ours(), given)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 2, 3.5, 4], "3.5 in data row 3"),
        (["1", "2", "3", "high"], "'high' in data row 4"),
        (["1", "2", "3", "inf"], "'inf' in data row 4"),
    ],
)
def test_a_rating_that_is_no_whole_number_is_named_with_its_row(values, words):
    with pytest.raises(AnalysisError, match=words):
        canonicalise(ours(value=values))


def test_a_missing_rating_is_counted_and_kept_as_missing():
    ratings = canonicalise(ours(value=["1", "", "3", "NA"]))
    assert list(ratings.frame["value"].isna()) == [False, True, False, True]
    assert ratings.notes == (
        "2 ratings of 'confidence' under condition B are missing; their pairs are left out.",
    )


def test_free_text_is_set_aside():
    table = pd.concat([ours(), ours(item="comment", value=["ok", "", "clear heart", ""])])
    ratings = canonicalise(table.reset_index(drop=True))
    assert ratings.items == ("confidence",)
    assert ratings.text_items == ("comment",)
    assert "comment" in ratings.notes[0]


def test_a_table_without_numbers_is_refused():
    with pytest.raises(AnalysisError, match="no numeric rating"):
        canonicalise(ours(value=["a", "b", "c", "d"]))
    with pytest.raises(AnalysisError, match="no numeric rating"):
        canonicalise(ours().head(0))


def test_the_same_rating_twice_is_refused_with_its_place():
    table = pd.concat([ours(), ours().tail(1)], ignore_index=True)
    with pytest.raises(AnalysisError, match=r"2 rows rate the same thing.*reader r2, case 001"):
        canonicalise(table)


def test_a_repeat_in_another_session_is_no_duplicate():
    table = pd.concat([ours(), ours().tail(1).assign(session=3)], ignore_index=True)
    assert len(canonicalise(table).frame) == 5


def test_rows_without_a_reader_are_left_out_and_counted():
    ratings = canonicalise(ours(reader=["r1", "r1", "r2", None]))
    assert len(ratings.frame) == 3
    assert ratings.notes == ("1 of 4 rows name no reader, case or condition and are left out.",)


def test_a_case_that_is_both_true_and_false_positive_is_refused():
    kinds = ["true_positive", "true_positive", "true_positive", "false_positive"]
    with pytest.raises(AnalysisError, match="Case 001"):
        canonicalise(ours(correctness=kinds))


def test_an_unknown_correctness_is_refused():
    with pytest.raises(AnalysisError, match="'maybe' in data row 1"):
        canonicalise(ours(correctness="maybe"))


@pytest.mark.parametrize(
    ("reference", "probability", "kind"),
    [
        (1, 0.8, "true_positive"),
        (0, 0.8, "false_positive"),
        (0, 0.2, "true_negative"),
        (1, 0.2, "false_negative"),
        (None, 0.8, "(not given)"),
    ],
)
def test_correctness_follows_from_reference_and_probability(reference, probability, kind):
    table = ours(reference=reference, probability=probability).drop(columns="correctness")
    assert set(canonicalise(table).frame["correctness"]) == {kind}


def test_an_iou_in_percent_is_refused():
    with pytest.raises(AnalysisError, match=r"'iou_grad' holds 42 .*lies in \[0, 1\]"):
        canonicalise(ours(iou_grad=42))


def test_maps_are_those_with_an_iou_or_those_that_were_told():
    table = ours(**{"iou_grad": 0.2, "iou_latent_shift-max": [None, 0.4, None, 0.4]})
    assert canonicalise(table).maps_of("A") == ("grad",)
    assert canonicalise(table).maps_of("B") == ("grad", "latent_shift-max")
    told = canonicalise(table, shown_maps={"B": ["latent_shift-max"]})
    assert told.maps_of("B") == ("latent_shift-max",)


def test_maps_named_for_a_condition_that_nobody_read_are_noted():
    told = canonicalise(ours(iou_grad=0.2), shown_maps={"Z": ["grad"]})
    assert told.notes[-1] == "Maps are named for condition 'Z'; the table has 'A', 'B'."


def test_a_map_without_iou_is_noted_and_left_out():
    told = canonicalise(ours(iou_grad=0.2), shown_maps={"A": ["grad", "guided"]})
    assert told.maps_of("A") == ("grad",)
    assert "'guided', for which the table has no IoU" in told.notes[0]
    assert canonicalise(ours(), shown_maps={"A": ["grad"]}).notes == ()


def test_two_studies_in_one_table_are_refused():
    with pytest.raises(AnalysisError, match=r"2 studies \(s1, s2\)"):
        canonicalise(ours(study=["s1", "s1", "s2", "s2"]))


def test_two_columns_of_one_name_are_refused():
    table = ours()
    table.columns = ["reader" if name == "study" else name for name in table.columns]
    with pytest.raises(AnalysisError, match="two columns 'reader'"):
        canonicalise(table)


def test_one_simulated_row_makes_the_table_simulated():
    assert canonicalise(ours(simulated=["False", "True", "False", ""])).simulated
    assert not canonicalise(ours()).simulated
    assert not canonicalise(ours().drop(columns="simulated")).simulated


def test_names_are_sorted_with_their_numbers_in_order():
    assert natural_order(["r10", "r2", "r1"]) == ("r1", "r2", "r10")


def test_repeated_readings_are_set_apart_and_said():
    rows = [("r1", "c1", "A", 3, "study", 1), ("r1", "c1", "A", 4, "repeat", 3)]
    frame = pd.DataFrame(
        rows, columns=["reader", "case_id", "condition", "value", "purpose", "session"]
    )
    ratings = canonicalise(frame)
    assert ratings.frame["value"].tolist() == [3.0]
    assert ratings.repeats["value"].tolist() == [4.0]
    assert any("repeated readings" in note for note in ratings.notes)
