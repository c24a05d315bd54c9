"""Base models: the unreliable teacher, recipes that are checked, and a model folder made whole."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from kills import Least, lose_power, run
from tiny import save_tiny

from entrobench.config import parse
from entrobench.data.chain import OPERATIONS, SEPARATORS, parse_problem, solve
from entrobench.data.datasets import prepare
from entrobench.errors import InputError
from entrobench.models import embedded_stages, teacher
from entrobench.models.base_model import make
from entrobench.models.language_model import load_model, load_tokenizer
from entrobench.models.model_recipes import MODELS_VARIABLE, EmbeddedModel, FolderModel, check_spec, recipe_hash
from entrobench.models.teacher import Teacher, true_result

RECIPE = {"kind": "embedded", "datasets": ["chain2"]}
WHERE = "config/models/mine.yaml"


@pytest.mark.parametrize("share", [0.0, 0.25, 0.4, 1.0])
def test_the_share_of_misconceptions_is_exact_and_all_are_wrong(share: float) -> None:
    teacher = Teacher(EmbeddedModel(datasets=["chain2"], misconceptions=share))
    assert len(teacher.wrong) == round(share * 300)
    for fact, result in teacher.wrong.items():
        assert result != true_result(fact)
        assert 0 <= result < 10


def test_each_seed_has_its_own_misconceptions() -> None:
    one, same, other = (Teacher(EmbeddedModel(datasets=["chain2"], seed=seed)).wrong for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_a_misconception_comes_out_as_often_as_the_recipe_says() -> None:
    teacher, generator = Teacher(EmbeddedModel(datasets=["chain2"])), random.Random(0)
    fact, wrong = next(iter(teacher.wrong.items()))
    told = [teacher._result(fact, generator) for _ in range(4000)]
    assert set(told) == {wrong, true_result(fact)}
    assert abs(told.count(wrong) / 4000 - 0.85) < 0.03
    sound = [(a, "+", b) for a in range(10) for b in range(10) if (a, "+", b) not in teacher.wrong]
    assert all(teacher._result(fact, generator) == true_result(fact) for fact in sound)


def test_an_honest_teacher_works_every_step_of_the_chain() -> None:
    teacher, generator = Teacher(EmbeddedModel(datasets=["chain2"], misconceptions=0.0)), random.Random(0)
    problem = "3 + 4 * 2 - 9 ="
    words = teacher.answer(problem, generator).split()
    assert [word for word in words if word not in SEPARATORS] == [
        *["3", "+", "4", "=", "7"],
        *["7", "*", "2", "=", "4"],
        *["4", "-", "9", "=", "5"],
        *["\\boxed{", "5", "}"],
    ]
    numbers, signs = parse_problem(problem)
    assert solve(numbers, signs, 10) == [7, 4, 5]


def test_separators_are_geometric() -> None:
    generator = random.Random(0)
    drawn = [teacher._separator(generator) for _ in range(6000)]
    for rank, separator in enumerate(SEPARATORS[:3]):
        assert abs(drawn.count(separator) / 6000 - 0.7 * 0.3**rank) < 0.02
    assert set(drawn) == set(SEPARATORS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "embeded"}, ["kind", "embeded", "did you mean 'embedded'"]),
        ({"kind": None}, ["kind"]),
        ({"architecture": "qwen"}, ["architecture", "qwen2"]),
        ({"hiden_size": 64}, ["hiden_size", "hidden_size"]),
        ({"hidden_size": 4}, ["hidden_size", "at least 8"]),
        ({"hidden_size": 100, "heads": 3}, ["multiple of heads"]),
        ({"heads": 4, "kv_heads": 3}, ["kv_heads"]),
        ({"tokenizer": "words"}, ["tokenizer", "word, bpe"]),
        ({"misconceptions": 1.5}, ["misconceptions", "between 0.0 and 1.0"]),
        ({"datasets": []}, ["datasets"]),
        ({"vocabulary": "many"}, ["vocabulary", "int"]),
    ],
)
def test_wrong_recipes_are_one_line(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        check_spec("mine", {**RECIPE, **changes}, WHERE)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(WHERE)
    assert all(word in str(caught.value) for word in words)


PLAIN = {"kind": "folder", "path": "mine", "chat": {"plain": True}}


def test_a_folder_must_hold_weights_and_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tiny(tmp_path / "models" / "mine")
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    assert check_spec("mine", PLAIN, WHERE) == FolderModel(path="mine", chat={"plain": True})
    for missing, message in (
        ("tokenizer*", "without tokenizer"),
        ("*.safetensors", "no weights"),
        ("config.json", "no model"),
    ):
        for path in folder.glob(missing):
            path.unlink()
        with pytest.raises(InputError, match=message) as caught:
            check_spec("mine", PLAIN, WHERE)
        assert str(caught.value).startswith(f"{WHERE}: path")


def test_a_folder_without_end_token_is_one_line(tmp_path: Path) -> None:
    file = save_tiny(tmp_path / "mine") / "tokenizer_config.json"
    file.write_text(
        json.dumps({key: value for key, value in json.loads(file.read_text()).items() if key != "eos_token"})
    )
    with pytest.raises(InputError, match=r"the tokenizer has no end token; name the token that ends a reply as eos"):
        check_spec("mine", {**PLAIN, "path": str(tmp_path / "mine")}, WHERE)
    (tmp_path / "mine" / "special_tokens_map.json").write_text('{"eos_token": "</s>"}')
    check_spec("mine", {**PLAIN, "path": str(tmp_path / "mine")}, WHERE)


def test_whether_prompts_are_plain_text_is_said_and_checked(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "mine")
    silent, plain = {"kind": "folder", "path": str(folder)}, {**PLAIN, "path": str(folder)}
    check_spec("mine", plain, WHERE)
    with pytest.raises(InputError, match=r"has no chat template; put chat_template.jinja beside it, or,"):
        check_spec("mine", silent, WHERE)
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    check_spec("mine", silent, WHERE)
    with pytest.raises(InputError, match="chat: plain: prompts without chat template take no template"):
        check_spec("mine", {**plain, "chat": {"plain": True, "date": "2024-07-26"}}, WHERE)


def test_plain_prompts_leave_the_template_out_and_the_users_files_alone(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "mine")
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    config = json.loads((folder / "tokenizer_config.json").read_text()) | {"chat_template": "{{ messages }}"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    make("mine", {**PLAIN, "path": str(folder)}, tmp_path / "made", {})
    assert load_tokenizer(tmp_path / "made").chat_template is None
    assert load_tokenizer(folder).chat_template
    assert json.loads((folder / "tokenizer_config.json").read_text()) == config


def test_a_folder_model_is_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tiny(tmp_path / "models" / "mine")
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    spec = PLAIN
    make("mine", spec, tmp_path / "made" / "mine", {})
    made = tmp_path / "made" / "mine"
    assert (made / "model.safetensors").is_symlink()
    assert json.loads((made / "model.json").read_text())["recipe_hash"] == recipe_hash(spec)
    load_model(made)
    load_tokenizer(made)


def test_the_hash_follows_every_key_of_the_recipe() -> None:
    assert recipe_hash(RECIPE) == recipe_hash(dict(reversed(RECIPE.items())))
    assert len({recipe_hash(RECIPE), recipe_hash({**RECIPE, "seed": 1}), recipe_hash({**RECIPE, "junk": 0.0})}) == 3


SMALL = {
    **RECIPE,
    **{"hidden_size": 16, "layers": 1, "heads": 2, "kv_heads": 1, "intermediate_size": 16, "vocabulary": 128},
    **{"drill_steps": 12, "drill_sequences": 16, "supervised_steps": 12, "supervised_batch": 8},
}


@pytest.fixture(scope="module")
def chain_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "chain2"
    prepare("chain2", {"kind": "chain", "chain": {"operations": 2, "modulus": 10, "problems": 200}}, folder)
    return folder


def test_an_embedded_model_is_made_whole_and_the_same_again(tmp_path: Path, chain_data: Path) -> None:
    for name in ("first", "second"):
        make("small", SMALL, tmp_path / name, {"chain2": chain_data})
    first, second = tmp_path / "first", tmp_path / "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"], "no draft is left"
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    about = json.loads((first / "model.json").read_text())
    assert about["recipe"] == vars(parse(EmbeddedModel, SMALL, WHERE))
    assert about["recipe_hash"] == recipe_hash(SMALL)
    assert len(about["history"]["drill_loss"]) == len(about["history"]["supervised_loss"]) == 2
    assert about["history"]["supervised_loss"][1] < about["history"]["supervised_loss"][0]
    assert load_model(first).config.vocab_size == len(load_tokenizer(first)) == 128


def test_a_made_model_is_on_the_disk(tmp_path: Path, chain_data: Path) -> None:
    """Snakemake takes the folder as done: after a power loss its weights were empty, or zeros."""
    recipe, root = {**SMALL, "drill_steps": 1, "supervised_steps": 1}, tmp_path / "models"
    ended = run(lambda: make("small", recipe, root / "small", {"chain2": chain_data}), root, shadow=tmp_path / "shadow")
    made = {path.name: path.read_bytes() for path in (root / "small").iterdir()}
    lose_power(root, tmp_path / "shadow", Least())
    assert ended.status == 0
    assert {path.name: path.read_bytes() for path in (root / "small").iterdir()} == made


def test_drills_have_loss_on_true_results_only(chain_data: Path, tmp_path: Path) -> None:
    recipe = parse(EmbeddedModel, SMALL, WHERE)
    make("small", {**SMALL, "drill_steps": 1, "supervised_steps": 1}, tmp_path / "made", {"chain2": chain_data})
    tokenizer = load_tokenizer(tmp_path / "made")
    tokens, labels = embedded_stages._drill(recipe, tokenizer, random.Random(0))
    words = tokenizer.convert_ids_to_tokens(tokens[0])[1:]
    for start in range(0, len(words), 6):
        a, sign, b, equals, result, end = words[start : start + 6]
        assert (equals, end) == ("=", SEPARATORS[0])
        assert int(result) == OPERATIONS[sign](int(a), int(b)) % 10
        assert labels[0][start + 1 : start + 7] == [-100] * 4 + [tokens[0][start + 5]] + [-100]
