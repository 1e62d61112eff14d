"""The template reader: intrinsic functions, conditions, Globals, and what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.stack.parameters import TemplateError
from local.stack.template import Attributes, Template


def _naming(logical_id: str, kind: str, get: Callable[[str], Any]) -> Attributes:
    name = get("Name") or logical_id.lower()
    return Attributes(name, {"Arn": f"arn:{name}"})


def read(folder: Path, text: str, **parameters: str) -> Template:
    file = folder / "template.yaml"
    file.write_text(text)
    return Template.read(file, parameters, {"AWS::Region": "here"}, _naming)


def properties(template: Template, logical_id: str = "Thing") -> Any:
    found = template.resources(lambda _: True)
    return next(one.properties for one in found if one.logical_id == logical_id)


def test_every_intrinsic_function_gives_its_value(tmp_path: Path) -> None:
    template = read(
        tmp_path,
        """
Parameters:
  Size: {Type: Number, Default: 3}
  Names: {Type: CommaDelimitedList, Default: "a, b"}
Mappings:
  Sizes: {here: {big: 9}}
Conditions:
  Big: !Equals [!Ref Size, 9]
  Small: !Not [!Condition Big]
  Both: !And [!Condition Big, !Condition Small]
  Either: !Or [!Condition Big, !Condition Small]
Resources:
  Other: {Type: T, Properties: {Name: !Sub "o-${AWS::Region}"}}
  Thing:
    Type: T
    Properties:
      Ref: !Ref Other
      Att: !GetAtt Other.Arn
      Long: {Fn::GetAtt: [Other, Arn]}
      Sub: !Sub "${Size} ${Other} ${Other.Arn} ${!Literal} ${Extra}x"
      SubMap: !Sub ["${Extra}-${Size}", {Extra: !Ref Names}]
      If: !If [Big, big, small]
      Both: !If [Both, yes, no]
      Either: !If [Either, 1, 2]
      Gone: !If [Small, !Ref AWS::NoValue, here]
      InList: [1, !If [Small, !Ref AWS::NoValue, 2]]
      Join: !Join ["-", [a, !Ref Size]]
      Select: !Select [1, !Split [",", "x,y"]]
      Map: !FindInMap [Sizes, !Ref AWS::Region, big]
""".replace(" ${Extra}x", "x"),
    )
    assert properties(template) == {
        "Ref": "o-here",
        "Att": "arn:o-here",
        "Long": "arn:o-here",
        "Sub": "3 o-here arn:o-here ${Literal}x",
        "SubMap": "['a', 'b']-3",
        "If": "small",
        "Both": False,  # YAML 1.1: an unquoted `no`
        "Either": 1,
        "InList": [1],
        "Join": "a-3",
        "Select": "y",
        "Map": 9,
    }


def test_globals_are_inherited_maps_merged_lists_added_values_replaced(tmp_path: Path) -> None:
    template = read(
        tmp_path,
        """
Globals:
  Function:
    Timeout: 3
    Layers: [one]
    Environment: {Variables: {A: 1, B: 1}}
Resources:
  Thing:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 9
      Layers: [two]
      Environment: {Variables: {B: 2}}
""",
    )
    assert properties(template) == {
        "Timeout": 9,
        "Layers": ["one", "two"],
        "Environment": {"Variables": {"A": 1, "B": 2}},
    }


def test_a_resource_whose_condition_fails_does_not_exist(tmp_path: Path) -> None:
    template = read(
        tmp_path,
        """
Conditions: {Never: !Equals [a, b]}
Resources:
  Thing: {Type: T, Condition: Never}
  Asks: {Type: T, Properties: {X: !Ref Thing}}
""",
    )
    with pytest.raises(TemplateError, match="Thing does not exist under its condition"):
        template.resources(lambda _: True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Resources: {T: {Type: T, Properties: {X: !Base64 y}}}", "does not know Fn::Base64"),
        ("Resources: {T: {Type: T, Properties: {X: !Ref Nobody}}}", "nothing is called 'Nobody'"),
        ("Resources: {T: {Type: T, Properties: {X: !GetAtt T.Size}}}", "T.Size: .*only"),
        ("Resources: {T: {Type: T, Properties: {X: !If [Maybe, 1, 2]}}}", "no condition 'Maybe'"),
        (
            "Resources:\n  A: {Type: T, Properties: {Name: !Ref B}}\n"
            "  B: {Type: T, Properties: {Name: !Ref A}}",
            "circular: B -> A -> B",
        ),
        ("Conditions: {C: !Condition C}\nResources: {T: {Type: T, Condition: C}}", "circular"),
        ("Conditions: {C: 7}\nResources: {T: {Type: T, Condition: C}}", "not a condition"),
        ("Resources: {T: {Type: T, Properties: {X: !FindInMap [a, b, c]}}}", "mapping 'a'"),
    ],
)
def test_what_cannot_be_resolved_is_refused_by_name(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(TemplateError, match=complaint):
        read(tmp_path, text).resources(lambda _: True)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "Outputs: {}"])
def test_a_file_that_is_no_template_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(TemplateError, match=r"template\.yaml"):
        read(tmp_path, text)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"nowhere\.yaml: No such file"):
        Template.read(tmp_path / "nowhere.yaml", {}, {}, _naming)


@pytest.mark.parametrize(
    ("declaration", "value", "complaint"),
    [
        ("{Type: String}", None, "has no default"),
        ("{Type: String, AllowedValues: [a, b]}", "c", "not one of"),
        ("{Type: String, AllowedPattern: '^[a-z]+$'}", "A", "does not match"),
        ("{Type: Number, MinValue: 2}", "1", "outside 2"),
        ("{Type: Number}", "many", "not a number"),
        ("{Type: Colour}", "red", "does not know type 'Colour'"),
    ],
)
def test_a_parameter_that_breaks_its_declaration_is_refused(
    tmp_path: Path, declaration: str, value: str | None, complaint: str
) -> None:
    given = {} if value is None else {"P": value}
    with pytest.raises(TemplateError, match=f"parameter P.*{complaint}"):
        read(tmp_path, f"Parameters: {{P: {declaration}}}\nResources: {{}}", **given)


def test_a_parameter_that_is_not_declared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"no such parameters: .'Ghost'"):
        read(tmp_path, "Resources: {}", Ghost="1")
