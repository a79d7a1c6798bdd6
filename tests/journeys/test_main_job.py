"""The main job, end to end, on the whole platform."""

import subprocess
import sys

from tests.journeys.conftest import ROOT, MainJob


def test_all_eight_steps_hold(main_job: MainJob) -> None:
    assert main_job.broken is None, f"step {len(main_job.play.played) + 1}: {main_job.broken}"
    assert len(main_job.play.played) == 8


def test_the_outside_checker_finds_nothing(main_job: MainJob) -> None:
    command = [sys.executable, "-m", "cli", "verify", "--home", str(main_job.home)]
    judged = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert judged.returncode == 0, judged.stdout + judged.stderr
