from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.report.allure_html import PROJECT, generate, what_is_missing
from harness.report.finish import remarks, write_reports
from harness.report.run import Run, State


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def project(tmp_path: Path) -> Path:
    (tmp_path / "node_modules" / "allure").mkdir(parents=True)
    (tmp_path / "node_modules" / "allure" / "cli.js").write_text("")
    return tmp_path


def test_without_node_the_run_has_its_summary_page_and_names_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    run = Run.create(tmp_path / "reports")
    run.finish(State.FINISHED)
    _, generated = write_reports(run.folder)
    assert generated.report is None
    assert generated.problem == "Node is not installed"
    (remark,) = remarks(generated)
    assert "cure: install Node 20 or later" in remark
    assert "npm ci" in remark
    assert "Node is not installed" in (run.folder / "summary.html").read_text()


def test_without_node_modules_the_cure_is_npm_ci(tmp_path: Path) -> None:
    missing = what_is_missing(tmp_path, program(tmp_path / "node", "echo v20.1.0"))
    assert missing is not None
    assert missing.cure == "npm ci"


@pytest.mark.parametrize(
    ("says", "problem"), [("echo v18.20.0", "Node v18.20.0 is too old"), ("exit 3", "does not run"), ("echo hello", "does not run")]
)
def test_a_node_that_will_not_do_is_named(tmp_path: Path, says: str, problem: str) -> None:
    missing = what_is_missing(project(tmp_path), program(tmp_path / "node", says))
    assert missing is not None
    assert problem in missing.problem


def test_a_generator_that_fails_is_quoted(tmp_path: Path) -> None:
    node = program(tmp_path / "node", 'test "$1" = --version && echo v22.0.0 && exit 0; echo "no memory left" >&2; exit 7')
    done = generate(tmp_path, project=project(tmp_path), node=node)
    assert done.report is None
    assert done.problem == "Allure ended with status 7: no memory left"


@pytest.mark.skipif(what_is_missing() is not None, reason="needs Node and npm ci")
def test_allure_writes_one_file_that_needs_no_other(tmp_path: Path) -> None:
    results = tmp_path / "allure-results"
    results.mkdir()
    (results / "a-result.json").write_text('{"uuid": "a", "name": "DMX-01", "status": "passed", "start": 1, "stop": 2}')
    done = generate(tmp_path)
    assert done.problem == ""
    assert done.report == tmp_path / "report.html"
    html = done.report.read_text()
    assert set(re.findall(r"https?://[^/\"' ]+", html)) <= {"http://www.w3.org"}
    assert "gtag" not in html
    assert html.index("Content-Security-Policy") < html.index("<script")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["allure-results", "report.html"]


def test_the_lock_file_pins_every_package_to_the_public_registry() -> None:
    lock = json.loads((PROJECT / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert len(packages) > 50
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert package["resolved"].startswith("https://registry.npmjs.org/"), name
