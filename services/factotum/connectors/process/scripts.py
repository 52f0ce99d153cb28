"""How a script is run: its text, and what it is given, are files of the sandbox."""

from __future__ import annotations

import json

from factotum.connectors.process.arguments import Script
from factotum.sdk.sandbox import SCRIPTS, Command, Limits, Sandbox

_VARIABLES = f"{SCRIPTS}/variables.json"
_PYTHON_WITH_VARIABLES = f"""\
import json, runpy, sys
sys.argv = ["{SCRIPTS}/script.py"]
with open("{_VARIABLES}", encoding="utf-8") as file:
    variables = json.load(file)
runpy.run_path(sys.argv[0], init_globals=variables, run_name="__main__")
"""
_JAVASCRIPT_WITH_VARIABLES = f"""\
import {{ readFileSync }} from "node:fs";
Object.assign(globalThis, JSON.parse(readFileSync("{_VARIABLES}", "utf8")));
"""


def command(arguments: Script, code: str, limits: Limits, sandbox: Sandbox) -> Command:
    """JavaScript is an ES module. Raises `Failed` where the machine has no interpreter of the language."""
    make = _python if arguments.language == "python" else _javascript
    argv, files = make(code, bool(arguments.variables), limits, sandbox)
    if arguments.variables:
        files["variables.json"] = json.dumps(arguments.variables)
    return Command(
        [*argv, *arguments.argv],
        stdin=arguments.stdin,
        environment=arguments.environment,
        scripts=files,
        bound_address_space=arguments.language == "python",
    )


def _python(code: str, variables: bool, limits: Limits, sandbox: Sandbox) -> tuple[list[str], dict[str, str]]:
    files = {"script.py": code} | ({"main.py": _PYTHON_WITH_VARIABLES} if variables else {})
    # -I: neither the environment nor the folder of the script change what is imported.
    return [sandbox.program("python3"), "-I", f"{SCRIPTS}/{'main' if variables else 'script'}.py"], files


def _javascript(code: str, variables: bool, limits: Limits, sandbox: Sandbox) -> tuple[list[str], dict[str, str]]:
    files = {"script.mjs": code} | ({"variables.mjs": _JAVASCRIPT_WITH_VARIABLES} if variables else {})
    options = [f"--max-old-space-size={limits.memory_mib}"]
    before = ["--import", f"{SCRIPTS}/variables.mjs"] if variables else []
    return [sandbox.program("node", "nodejs"), *options, *before, f"{SCRIPTS}/script.mjs"], files
