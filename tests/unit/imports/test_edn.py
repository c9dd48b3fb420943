"""Every kind of value of EDN is read, and what is none is refused with its place."""

import pytest

from kafkalab.imports.edn import EdnError, forms


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nil", None),
        ("true", True),
        ("[1 -2 +3 4N]", [1, -2, 3, 4]),
        ("[1.5 -2e3 3M]", [1.5, -2000.0, 3]),
        ("18446744073709551615", 2**64 - 1),
        ("22/7", "22/7"),
        (":a/b-c?", ":a/b-c?"),
        ("-x", "-x"),
        ('"a \\"b\\" ; [c"', '"a \\"b\\" ; [c"'),
        ('"two\nlines"', '"two\nlines"'),
        ("\\a", "\\a"),
        ("\\newline", "\\newline"),
        ("(1, 2,,3)", [1, 2, 3]),
        ("#{1 2}", [1, 2]),
        ("{:a 1, 2 [3]}", {":a": 1, 2: [3]}),
        ("{[1] 2}", {"[1]": 2}),
        ("{}", {}),
        ("#jepsen.history.Op{:index 0}", {":index": 0}),
        ('#inst "2020-01-01"', '"2020-01-01"'),
        ('#object[a.B 0x1f "c"]', ["a.B", "0x1f", '"c"']),
        ("[1 #_2 3]", [1, 3]),
        ("[#_ #_ 1 2 3]", [3]),
        ("#_{:a 1} 2", 2),
        ("; only this\n1 ; and that", 1),
    ],
)
def test_a_value_is_read(text, value):
    assert list(forms(text)) == [value]


def test_values_follow_one_another():
    assert list(forms("1 :a\n{:b 2}\n")) == [1, ":a", {":b": 2}]
    assert list(forms(" ,\n; nothing\n")) == []


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_values_may_lie_across_what_is_cut_at_once(monkeypatch, chunk):
    monkeypatch.setattr("kafkalab.imports.edn._CHUNK", chunk)
    text = "\n".join(f'{{:index {i}, :value [[:send {i} "a"]]}}' for i in range(20))
    assert [form[":index"] for form in forms(text)] == list(range(20))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 [2", "after 1 values: '[' is not closed by ']'"),
        ("1 2]", "after 2 values: ']' closes nothing"),
        ("(1]", "']' closes nothing"),
        ("{:a}", "a key without a value"),
        ('["a', "without an end"),
        ("[1 #_]", "without the value that it discards"),
    ],
)
def test_what_is_no_edn_is_refused(text, says):
    with pytest.raises(EdnError) as error:
        list(forms(text))
    assert says in str(error.value)
