"""The text of a reply: what the prompt has begun of it belongs to it, and marks of thinking survive decoding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tiny import Judged, coin_reward, run_config, save_tiny

from entrobench.config import Hardware
from entrobench.engines.rollout import Completion
from entrobench.evaluation.benchmarks.generate import generate
from entrobench.evaluation.benchmarks.lm_eval import Response, respond_until
from entrobench.evaluation.grading.grader import grade
from entrobench.evaluation.grading.rewards import reward_function
from entrobench.models.replies import begun, decode, reply_text
from entrobench.training.trainer import train

WORDS = ("<s>", "</s>", "<think>", "</think>", "[THINK]", "[/THINK]", "Q", "5", "6", "Question:", "so", "\\boxed{6}")


@pytest.fixture(scope="module", params=["words", "special"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """One in which tags are words like others (Qwen3), one in which they are special, so that decoding drops them."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="</s>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    marks = list(WORDS[2:6]) if request.param == "special" else []
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", additional_special_tokens=marks
    )


def tokens(*words: str) -> list[int]:
    return [WORDS.index(word) for word in words]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (("Q",), ""),
        (("Q", "<think>"), "<think>"),
        (("Q", "[THINK]"), "[THINK]"),
        (("<think>", "Q"), ""),  # the prompt speaks of the tag
        (("Q", "<think>", "</think>"), ""),  # thinking is switched off
        (("Q",) * 100 + ("<think>",), "<think>"),
    ],
)
def test_what_a_prompt_begins_of_the_reply(tokenizer: Any, prompt: tuple[str, ...], expected: str) -> None:
    assert begun(tokenizer, tokens(*prompt)) == expected


def test_marks_of_thinking_survive_and_other_special_tokens_do_not(tokenizer: Any) -> None:
    reply = tokens("[THINK]", "5", "[/THINK]", "6", "</s>")
    assert decode(tokenizer, reply).split() == ["[THINK]", "5", "[/THINK]", "6"]


def test_a_cut_reply_is_not_graded_by_its_interim_numbers(tokenizer: Any) -> None:
    """The template opened the thinking part, the reply ends in it: it has no answer, in benchmarks and in training."""
    prompt, cut = tokens("Q", "<think>"), tokens("so", "5")
    closed = [*cut, *tokens("</think>", "\\boxed{6}", "</s>")]
    for reward in ("entrobench", "boxed"):
        judge = reward_function(reward)
        assert not judge(reply_text(tokenizer, prompt, cut), "5", True).correct
        assert judge(reply_text(tokenizer, prompt, closed), "6", True).correct
        assert not judge(reply_text(tokenizer, prompt, closed[:-2]), "5", True).correct
    assert grade(reply_text(tokenizer, tokens("Q"), cut), "5").correct


def test_stop_strings_count_after_the_thinking_part(tokenizer: Any) -> None:
    """lm-eval's `until`: thinking may ask itself a question, the answer may not go on to the next one."""
    reply = tokens("so", "Question:", "5", "</think>", "\\boxed{6}", "Question:", "5", "5")
    response = respond_until(tokenizer, tokens("Q", "<think>"), Completion(reply, [], "length"), ("Question:",))
    text = reply_text(tokenizer, tokens("Q", "<think>"), reply[:5]).rstrip()
    assert (response.text.rstrip(), response.tokens, response.finish) == (text, 6, "stop")


def test_a_stop_string_ends_an_answer_whose_sampling_was_cut_later(tokenizer: Any) -> None:
    """Length and truncation are those of the answer that is graded, not of the text behind it."""
    reply = Completion(tokens("so", "5", "Question:", "6", "6"), [], "length")
    assert respond_until(tokenizer, tokens("Q"), reply, ("Question:",)) == Response("so 5 ", 3, "stop")
    assert respond_until(tokenizer, tokens("Q"), reply, ("Q:",)) == Response("so 5 Question: 6 6", 5, "length")


def test_a_stop_string_inside_an_unfinished_thinking_part_ends_nothing(tokenizer: Any) -> None:
    reply = Completion(tokens("so", "Question:", "5"), [], "length")
    response = respond_until(tokenizer, tokens("Q", "<think>"), reply, ("Question:",))
    assert (response.tokens, response.finish) == (3, "length")
    assert not grade(response.text, "5").correct


@pytest.fixture
def thinker(tmp_path: Path) -> Path:
    """A model folder whose chat template opens the thinking part, as that of Qwen3-Thinking does."""
    folder = save_tiny(tmp_path / "thinker")
    words = folder / "tokenizer.json"
    words.write_text(words.read_text().replace('"w42"', '"<think>"').replace('"w41"', '"</think>"'))
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }} <think>")
    return folder


def test_training_and_benchmarks_tell_the_grader_what_the_template_opened(
    thinker: Path, tiny_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    """From the chat template to the judge: no reply of this untrained model closes what the prompt opened."""
    judged = []

    def reward(response: str, gold: str, finished: bool, key: str, problem: str) -> Judged:
        judged.append(response)
        return coin_reward(response, gold, finished, key, problem)

    train(run_config(steps=1), tmp_path / "run", thinker, tiny_folders[1], Hardware(device="cpu"), reward)
    settings = {"samples": 4, "temperature": 1.0, "max_tokens": 8, "pass_k": [1], "problems": 6, "seed": 0}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "chain2").symlink_to(tiny_folders[1])
    generate(thinker, settings | {"benchmarks": ["chain2"]}, tmp_path / "data", tmp_path / "run", device="cpu")
    written = zstandard.decompress((tmp_path / "run" / "generations" / "chain2.jsonl.zst").read_bytes())
    answers = [json.loads(line)["response"] for line in written.decode().splitlines()[1:]]
    assert len(judged) == 16
    assert len(answers) == 24
    for reply in [*judged, *answers]:
        assert reply.startswith("<think>")
        assert "</think>" in reply or grade(reply, "1").outcome == "unparsable", reply
