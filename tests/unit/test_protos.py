"""The generated code is what `make protos` makes of protos/, no more and no less."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
API = Path("factotum/api")


def _generate(into: Path) -> None:
    protos = sorted(str(path.relative_to(ROOT / "protos")) for path in (ROOT / "protos").rglob("*.proto"))
    outputs = [f"--{kind}_out={into}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-Iprotos", *outputs, *protos],
        cwd=ROOT,
        # The mypy plug-ins are programs beside the interpreter.
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        check=True,
    )


def _generated(source_root: Path) -> dict[str, str]:
    files = (path for pattern in ("*_pb2*.py", "*_pb2*.pyi") for path in (source_root / API).rglob(pattern))
    return {str(path.relative_to(source_root)): path.read_text(encoding="utf-8") for path in files}


def test_generated_code_is_not_stale(tmp_path: Path) -> None:
    _generate(tmp_path)
    fresh, committed = _generated(tmp_path), _generated(ROOT / "services")
    stale = sorted(name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name))
    assert fresh and not stale, f"run `make protos`; stale: {', '.join(stale)}"
