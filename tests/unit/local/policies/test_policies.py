import pytest
from typer.testing import CliRunner

from local.policies.cli import app
from local.policies.review import Difference, answers_of, differences, warnings
from screener.document import Decision
from screener.policy.loading import Preset, load_preset, preset_bytes
from screener.policy.model import Rule
from screener.taxonomy import Source

BALANCED = load_preset(Preset.BALANCED)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_bytes(preset_bytes(Preset.BALANCED))
    return path


@pytest.mark.parametrize("preset", list(Preset))
def test_the_presets_are_valid_and_raise_no_warning(preset):
    result = run("check", preset.value)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert load_preset(preset).sha256 in result.output


def test_a_mistake_is_shown_with_file_line_and_what_was_expected(policy):
    text = policy.read_text().replace("consensus: both", "consensus: most")
    policy.write_text(text)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "consensus: most" in row)
    result = run("check", policy)
    assert result.exit_code == 1
    assert f"{policy}:{line}:3: moderation.consensus:" in result.stderr
    assert "'both', 'either'" in result.stderr


def test_a_missing_file_names_the_presets():
    result = run("check", "absent.yaml")
    assert result.exit_code == 1
    assert "strict, balanced, permissive" in result.stderr


def changed(**updates):
    return BALANCED.model_copy(update=updates)


def test_a_rule_that_nothing_can_answer_is_warned_about():
    policy = changed(rules=[*BALANCED.rules, Rule(category="hate.symbols", decision="review")])
    assert any("hate.symbols" in text and "nothing" in text for text in warnings(policy))


def test_thresholds_at_which_nudenet_is_blind_are_warned_about():
    moderation = BALANCED.moderation.model_copy(
        update={"nudenet_thresholds": {"BUTTOCKS_EXPOSED": 0.85}}
    )
    assert any("0.24 %" in text for text in warnings(changed(moderation=moderation)))


def test_findings_without_a_rule_are_warned_about():
    assert any("no rule is about it" in text for text in warnings(changed(rules=[])))


def test_a_rule_is_explained_by_what_answers_it():
    rule = Rule(category="violence", decision=Decision.REVIEW, sources=[Source.TERMS])
    assert {answer.source for answer in answers_of(rule, BALANCED)} == {Source.TERMS}


def test_explain_says_every_rule_and_the_rest(policy):
    result = run("explain", policy)
    assert result.exit_code == 0
    assert "Explicit nudity is decided by: both" in result.output
    assert "Everything else is approved" in result.output
    assert result.output.count("review") >= 7


def test_equal_policies_have_no_difference(policy):
    policy.write_text("# only a comment\n" + policy.read_text())
    result = run("diff", "balanced", policy)
    assert (result.exit_code, result.output) == (0, "")


def test_a_changed_value_is_one_difference():
    faces = BALANCED.faces.model_copy(update={"margin": 0.1})
    assert differences(BALANCED, changed(faces=faces)) == [Difference("faces.margin", 0.05, 0.1)]


def test_an_added_term_is_not_a_change_of_all_later_ones():
    terms = dict(BALANCED.speech.terms)
    first = terms["en"][0].model_copy(update={"term": "frell"})
    terms["en"] = [first, *terms["en"]]
    speech = BALANCED.speech.model_copy(update={"terms": terms})
    found = differences(BALANCED, changed(speech=speech))
    assert {item.path for item in found} == {
        f"speech.terms.en[frell].{name}" for name in ("term", "category", "inflect", "obfuscated")
    }


def test_diff_exits_with_one_when_something_differs():
    result = run("diff", "balanced", "strict")
    assert result.exit_code == 1
    assert "moderation.consensus: both -> either" in result.output


def test_a_preset_can_be_printed_and_used_again(tmp_path):
    result = run("show", "strict")
    path = tmp_path / "mine.yaml"
    path.write_text(result.output)
    assert run("diff", "strict", path).exit_code == 0
