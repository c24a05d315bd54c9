"""What runs again, and what does not, after each kind of change to a finished study."""

from __future__ import annotations

import hashlib
import json
import re
import shutil

from .conftest import Project

OTHER = ("base/other", "runs/other/chain2/grpo/seed0")
END = ["compare the methods of the study", "show the study in MLflow", "write the report"]


def jobs_of(run: str, *, first: str = "lock") -> list[str]:
    """The jobs of one run from `first` on."""
    jobs = {
        "lock": f"lock the settings of tiny/chain2/{run}",
        "train": f"train tiny/chain2/{run}",
        "generate": f"generate the answers of runs/tiny/chain2/{run}",
        "grade": f"grade the answers of runs/tiny/chain2/{run}",
    }
    names = list(jobs)
    return [jobs[name] for name in names[names.index(first) :]]


def test_whole_study_and_where_its_results_are(finished: Project) -> None:
    output = (finished.folder / "output.txt").read_text()
    for line in ("report: results/quickstart/report.html", "tables: results/quickstart/table.md", "make ui"):
        assert line in output
    for name in ("report.html", "tracking.json", "scores.parquet", "table.tex", "figures/entropy.svg"):
        assert (finished.folder / "results" / "quickstart" / name).exists()
    assert (finished.folder / "results" / "quickstart" / "base" / "tiny" / "grades" / "chain2.parquet").exists()


def test_snakemake_looks_for_jobs_only_when_one_has_ended(finished: Project) -> None:
    """Its own timers made it look once a second for each job that had ended: hours of processor time in a study."""
    output = (finished.folder / "output.txt").read_text()
    assert output.count("Ready jobs: ") <= output.count("Finished jobid: ") + 1


def test_nothing_to_be_done(finished: Project) -> None:
    assert "Nothing to be done" in finished.snakemake()
    assert "Nothing to be done" in finished.snakemake("--config", "study=config/studies/quickstart.yaml")


def test_deleted_seed_runs_again_with_what_depends_on_it(finished: Project) -> None:
    shutil.rmtree(finished.run / "aent" / "seed1")
    assert finished.planned() == sorted(jobs_of("aent/seed1") + END)
    finished.snakemake()
    assert "Nothing to be done" in finished.snakemake()


def test_edited_method_runs_again_alone(finished: Project) -> None:
    source = finished.folder / "site" / "entrobench" / "methods" / "aent.py"
    source.touch()
    assert finished.planned() == []
    source.write_text(source.read_text() + "# an edit\n")
    again = [job for seed in (0, 1) for job in jobs_of(f"aent/seed{seed}", first="train")]
    assert finished.planned() == sorted(again + END)


def test_other_mathematics_trains_every_run_anew(finished: Project) -> None:
    source = finished.folder / "site" / "entrobench" / "run_config.py"
    source.write_text(re.sub(r"^MATHEMATICS = \d+", "MATHEMATICS = 1000", source.read_text(), flags=re.MULTILINE))
    runs = [f"{method}/seed{seed}" for method in ("aent", "grpo") for seed in (0, 1)]
    again = [job for run in runs for job in jobs_of(run)]
    base = ["generate the answers of base/tiny", "grade the answers of base/tiny"]
    assert finished.planned() == sorted(again + base + END)
    assert "4 runs were trained by other mathematics" in finished.snakemake()
    assert finished.planned() == []
    config = json.loads((finished.run / "aent" / "seed0" / "config.json").read_text())
    assert config["mathematics"] == 1000


def test_touched_data_and_models_run_nothing(finished: Project) -> None:
    (finished.folder / "results" / "data" / "chain2" / "manifest.json").touch()
    (finished.folder / "results" / "models" / "tiny" / "model.json").touch()
    (finished.folder / "results" / "mlflow.db").write_text("written by somebody")
    assert finished.planned() == []


def test_hardware_settings_run_nothing(finished: Project) -> None:
    finished.edit("device: cpu", "device: cpu, micro_batch: 3, checkpoint_every: 1")
    assert finished.planned() == []


def test_new_seed_adds_only_its_runs(finished: Project) -> None:
    finished.edit("seeds: [0, 1]", "seeds: [0, 1, 2]")
    assert finished.planned() == sorted(jobs_of("aent/seed2") + jobs_of("grpo/seed2") + END)


def test_new_grader_grades_again_and_samples_nothing(finished: Project) -> None:
    finished.environment["FAKE_GRADER_VERSION"] = "2"
    runs = [job for run in ("aent", "grpo") for k in (0, 1) for job in jobs_of(f"{run}/seed{k}", first="grade")]
    assert finished.planned() == sorted([*runs, "grade the answers of base/tiny", *END])


def test_a_second_grader_grades_again_and_samples_nothing(finished: Project) -> None:
    finished.edit("seeds: [0, 1]", "seeds: [0, 1]\ngraders: [entrobench, paper]")
    jobs = finished.planned()
    assert [job for job in jobs if job.startswith("grade")]
    assert not [job for job in jobs if job.startswith(("train", "lock", "generate"))]
    finished.snakemake()
    assert finished.planned() == []
    grades = finished.run / "grpo/seed0/grades/chain2.parquet"
    assert grades.read_text().endswith('paper"')


def add_words(project: Project) -> None:
    """A dataset `words` of JSON lines whose training split holds a problem of its test split, and its benchmark."""
    source = project.folder / "rows"
    source.mkdir()
    project.environment["ENTROBENCH_DATA"] = str(source)
    story = "A train leaves the station at noon and drives 60 miles an hour until the next town."
    splits = {}
    for split, problems in {"train": [story, "Why?"], "test": [f"{story} When?", "How?"]}.items():
        content = "".join(json.dumps({"problem": problem, "answer": "1"}) + "\n" for problem in problems)
        (source / f"{split}.jsonl").write_text(content)
        digest = hashlib.sha256(content.encode()).hexdigest()
        splits[split] = {"file": f"{split}.jsonl", "sha256": digest, "rows": 2}
    recipe = {"kind": "jsonl", "splits": splits}
    (project.folder / "config/datasets/words.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    task = "include: _boxed.yaml\ntask: words\nmetadata: {version: 1, dataset: words, split: test}\n"
    (project.folder / "site/entrobench/evaluation/benchmarks/tasks/words.yaml").write_text(task)


def test_training_reads_data_without_the_benchmarks_rows(fresh: Project) -> None:
    add_words(fresh)
    fresh.edit("datasets: [chain2]", "datasets: [words]")
    fresh.edit("benchmarks: [chain2]", "benchmarks: [chain2, words]")
    assert "find the rows of words that the benchmarks also ask" in fresh.planned()
    fresh.snakemake()
    assert fresh.planned() == []
    (manifest,) = (fresh.folder / "results/data/words").glob("without-*/manifest.json")
    found = json.loads(manifest.read_text())["decontamination"]
    assert (found["rows"], found["matching"]) == (2, 1)
    fresh.edit("seeds: [0, 1]", "seeds: [0, 1]\ndecontaminate: report")
    assert fresh.call("snakemake", "--dry-run").returncode == 2  # other training data are other runs


def test_new_evaluation_settings_train_nothing(finished: Project) -> None:
    finished.edit("samples: 2", "samples: 4")
    jobs = finished.planned()
    assert "generate the answers of base/tiny" in jobs
    assert not [job for job in jobs if job.startswith(("train", "lock the settings"))]


def test_changed_config_is_refused_then_replaced_on_request(finished: Project) -> None:
    finished.edit("warmup: 5", "warmup: 6")
    done = finished.call("snakemake", "--dry-run")
    assert done.returncode == 2
    assert (
        "2 result folders hold runs of a different config, first results/quickstart/runs/tiny/chain2/aent"
        in done.stderr
    )
    assert "Traceback" not in done.stderr
    again = [job for seed in (0, 1) for job in jobs_of(f"aent/seed{seed}")]
    assert finished.planned("--config", "changed=rerun") == sorted(again + END)
    finished.snakemake("--config", "changed=rerun")
    assert finished.planned() == []


def test_reference_scores_are_checked(finished: Project) -> None:
    reference = finished.folder / "results" / "reference" / "quickstart" / "scores.csv"
    reference.parent.mkdir(parents=True)
    reference.write_text("")
    assert "check the scores against results/reference" in finished.planned()


def test_equal_run_of_another_study_is_not_trained_again(finished: Project) -> None:
    other = finished.folder / "config" / "studies" / "other.yaml"
    other.write_text(finished.study.read_text().replace("seeds: [0, 1]", "seeds: [1, 2]"))
    finished.snakemake("--config", "study=other")
    runs = finished.folder / "results" / "other" / "runs" / "tiny" / "chain2" / "aent"
    origins = [json.loads((runs / f"seed{k}" / "provenance.json").read_text())["reused_from"] for k in (1, 2)]
    assert origins == ["results/quickstart/runs/tiny/chain2/aent/seed1", None]
    twin = finished.run / "aent" / "seed1" / "final" / "model.safetensors"
    assert (runs / "seed1" / "final" / "model.safetensors").read_bytes() == twin.read_bytes()
    assert finished.planned() == []


def test_every_command_can_be_pasted(fresh: Project) -> None:
    output = fresh.snakemake("--dry-run")
    commands = [line.partition(": ")[2] for line in output.splitlines() if line.startswith("Shell command:")]
    assert len(commands) > 20
    assert all(command.startswith("entrobench ") for command in commands if command != "None")


def test_lint(fresh: Project) -> None:
    done = fresh.call("snakemake", "--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_study_of_five_hundred_runs_is_planned(fresh: Project) -> None:
    fresh.edit("seeds: [0, 1]", f"seeds: {list(range(250))}")
    assert len([job for job in fresh.planned() if job.startswith("train")]) == 500


def test_plan_counts_the_jobs_that_snakemake_makes(fresh: Project) -> None:
    table = fresh.snakemake("--dry-run").partition("Job stats:")[2].partition("total")[0]
    made = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    assert made.pop("all") == 1
    fresh.real_steps = True
    assert json.loads(fresh.call("entrobench", "plan", "quickstart", "--json").stdout)["jobs"] == made


def test_included_studies_keep_their_sampling(fresh: Project) -> None:
    studies = fresh.folder / "config" / "studies"
    shutil.copy(fresh.folder / "config/models/tiny.yaml", fresh.folder / "config/models/other.yaml")
    text = (
        fresh.study.read_text().replace("{grpo: , aent: {warmup: 5}}", "[grpo]").replace("seeds: [0, 1]", "seeds: [0]")
    )
    (studies / "one.yaml").write_text(text)
    (studies / "two.yaml").write_text(text.replace("[tiny]", "[other]").replace("samples: 2", "samples: 4"))
    (studies / "both.yaml").write_text("include: [one, two]\n")
    fresh.snakemake("--config", "study=both")
    place = fresh.folder / "results" / "both"
    assert json.loads((place / "evaluation-tiny.json").read_text())["samples"] == 2
    assert json.loads((place / "evaluation-other.json").read_text())["samples"] == 4
    answers = place / "runs/other/chain2/grpo/seed0/generations/chain2.jsonl.zst"
    assert json.loads(answers.read_text())["samples"] == 4
    assert fresh.planned("--config", "study=both") == []
    (studies / "two.yaml").write_text(text.replace("[tiny]", "[other]").replace("samples: 2", "samples: 8"))
    again = [f"{kind} the answers of {subject}" for kind in ("generate", "grade") for subject in OTHER]
    assert fresh.planned("--config", "study=both") == sorted([*again, "lock the evaluation settings", *END])
