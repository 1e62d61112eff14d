import pytest

from screener import taxonomy
from screener.errors import InvalidPolicy
from screener.policy.loading import Preset, load_preset, parse_policy, preset_bytes
from screener.taxonomy import Source
from tests.taxonomy_answers import answered_by

BALANCED = preset_bytes(Preset.BALANCED).decode()


def refusal(text):
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(data, "p.yaml")
    return str(caught.value)


@pytest.mark.parametrize("preset", list(Preset))
def test_the_presets_load_under_their_names(preset):
    assert load_preset(preset).name == preset.value


def test_presets_differ_in_meaning_and_digest():
    assert len({load_preset(preset).sha256 for preset in Preset}) == 3


def test_comments_and_order_do_not_change_the_digest():
    lines = BALANCED.splitlines(keepends=True)
    reordered = "".join(["# other words\n", *lines[2:3], *lines[1:2], *lines[3:]])
    assert parse_policy(reordered.encode(), "x").sha256 == load_preset(Preset.BALANCED).sha256


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("consensus: both", "consensus: most", "moderation.consensus"),
        ("opennsfw2_threshold: 0.5", "opennsfw2_threshold: 50", "less than or equal to 1"),
        ("FEMALE_BREAST_EXPOSED", "FEMALE_BRAEST", "not a NudeNet label"),
        # Accepted once, and then never looked up.
        ("FEMALE_BREAST_EXPOSED", "female_breast_exposed", "written in capitals"),
        ("category: hate.speech}", "category: hate.sppech}", "not a category of the taxonomy"),
        ("required_analyses: [moderation", "required_analyses: [moderatoin", "required_analyses.0"),
        ("decision: reject", "decision: delete", "rules.0.decision"),
        ("weapon_threshold: 0.5", "weapon_treshold: 0.5", "objects.weapon_treshold"),
        ("min_frames: 1", "min_frames: 0", "greater than or equal to 1"),
    ],
)
def test_a_mistake_is_named_with_its_line(old, new, expected):
    line = next(n for n, text in enumerate(BALANCED.splitlines(), 1) if old in text)
    message = refusal(BALANCED.replace(old, new, 1))
    assert expected in message
    assert f"p.yaml:{line}:" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a mapping"),
        ("- 1\n", "expected a mapping"),
        ("a: [1, 2", "p.yaml:1:"),
        ("name: a\nname: b\n", "p.yaml:2:1: 'name' is written twice"),
        ("a: &x [1]\nb: *x\n", "p.yaml:2:4: aliases are not allowed"),
        ("a: !!python/object/apply:os.system ['true']\n", "p.yaml:1:4"),
        ("? [1]\n: 2\n", "p.yaml:1:"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a: \x00", "not readable"),
        ("x" * (5 * 1024 * 1024), "larger than"),
        ("[" * 5_000, ""),
        ("schema_version: 2\n", "schema_version"),
        ("--- {}\n--- {}\n", "p.yaml"),
    ],
)
def test_anything_that_is_not_a_policy_is_refused(text, expected):
    assert expected in refusal(text)


def test_a_mistake_that_the_policy_itself_finds_is_told_without_a_prefix():
    message = refusal(BALANCED.replace("category: explicit_nudity", "category: nonsense", 1))
    assert "category: 'nonsense' is not a category of the taxonomy" in message


def test_every_mistake_is_listed_in_order_of_lines():
    message = refusal(
        BALANCED.replace("consensus: both", "consensus: x").replace("margin: 0.05", "margin: no")
    )
    lines = [int(line.split(":")[1]) for line in message.splitlines()]
    assert len(lines) == 2
    assert lines == sorted(lines)


def test_every_nudenet_label_is_in_the_taxonomy():
    from nudenet import nudenet

    labels = nudenet.__dict__["__labels"]
    assert len(labels) == 18
    for label in labels:
        assert taxonomy.load().of_label(Source.NUDENET, label), label


def test_every_category_is_answered_or_says_that_nothing_does():
    tree = taxonomy.load()
    for path, category in tree.categories.items():
        assert answered_by(tree, path) or category.note, path


def test_the_taxonomy_has_three_levels_at_most():
    assert {len(category.names) for category in taxonomy.load().categories.values()} == {1, 2, 3}


@pytest.mark.parametrize(
    "name",
    [
        "Explicit Nudity",
        "Non-Explicit Nudity",
        "Violence",
        "Visually Disturbing",
        "Drugs & Tobacco",
        "Alcohol",
        "Gambling",
        "Hate Symbols",
        "Rude Gestures",
    ],
)
def test_the_categories_of_managed_services_have_their_place(name):
    assert name in {category.managed for category in taxonomy.load().categories.values()}
