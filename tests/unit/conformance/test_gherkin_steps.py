"""The reader of the conformance kit, on a kit of our own: every step is understood, and none passes what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.gherkin_steps import KitScenario, UnknownStep, read, scenarios
from tests.support.scenario import Performance, Task

FEATURE = '''Feature: Kettles
  Scenario: Water boils
    Given a workflow with definition:
    """yaml
    document: {{dsl: '1.0.3', namespace: test, name: kettle, version: 1.0.0}}
    schedule: {{on: {{one: {{with: {{type: com.example.thirst}}}}}}}}
    do: [{{boil: {{set: {{where: HOST}}}}}}]
    """
    And given the workflow input is:
    """yaml
    litres: 2
    """
    When the workflow is executed
    Then {steps}
'''
TASKS = [
    Task("/do/0/fill", "started"),
    Task("/do/0/fill", "completed"),
    Task("/do/1/boil", "started"),
    Task("/do/1/boil", "faulted"),
    Task("/do/2/pour", "started"),
    Task("/do/2/pour", "cancelled"),
]
TEA: dict[str, Any] = {"tea": {"kind": "green", "cups": [1, 2]}, "hot": True}
FAULT: dict[str, Any] = {"type": "https://example.com/dry", "status": 400, "instance": "/do/1/boil"}


def kit(steps: str) -> KitScenario:
    (pickle,) = scenarios(FEATURE.format(steps=steps))
    return read(pickle, lambda text: text.replace("HOST", "kitchen"))


def holds(steps: str, played: Performance) -> bool:
    try:
        for check in kit(steps).checks:
            check(played)
    except (AssertionError, ValueError):
        return False
    return True


def quoted(text: str) -> str:
    return f'\n    """yaml\n    {text}\n    """'


def test_what_is_played() -> None:
    scenario = kit("the workflow should complete")
    assert scenario.name == "Water boils"
    # `on` is a word here, not the truth value that YAML 1.1 makes of it.
    assert "on" in scenario.document["schedule"]
    assert scenario.document["do"] == [{"boil": {"set": {"where": "kitchen"}}}]
    assert scenario.input == {"litres": 2}


@pytest.mark.parametrize(
    ("step", "right", "wrong"),
    [
        ("the workflow should complete", Performance("completed"), Performance("failed")),
        ("the workflow should cancel", Performance("cancelled"), Performance("completed")),
        ("the workflow should fault", Performance("failed"), Performance("completed")),
        (
            f"the workflow should complete with output:{quoted('hot: true')}",
            Performance("completed", {"hot": True}),
            Performance("completed", {"hot": True, "more": 1}),
        ),
        (
            f"the workflow should fault with error:{quoted('{status: 400, instance: /do/1/boil}')}",
            Performance("failed", error=FAULT),
            Performance("failed", error={**FAULT, "instance": "/do/0/fill"}),
        ),
        (
            "the workflow output should have properties 'hot', 'tea.kind'",
            Performance("completed", TEA),
            Performance("completed", {"hot": True, "tea": {}}),
        ),
        (
            f"the workflow output should have a 'tea.kind' property with value:{quoted('green')}",
            Performance("completed", TEA),
            Performance("completed", {"tea": {"kind": "black"}}),
        ),
        (
            "the workflow output should have a 'tea.cups' property containing 2 items",
            Performance("completed", TEA),
            Performance("completed", {"tea": {"cups": [1]}}),
        ),
        *(
            (step, Performance("completed", tasks=TASKS), Performance("completed", tasks=TASKS[::-1]))
            for step in (
                "fill should run first",
                "pour should run last",
                "fill should run before boil",
                "pour should run after boil",
            )
        ),
        *(
            (step, Performance("completed", tasks=TASKS), Performance("completed", tasks=TASKS[::2]))
            for step in ("fill should complete", "boil should fault", "pour should cancel")
        ),
    ],
)
def test_a_step_tells_right_from_wrong(step: str, right: Performance, wrong: Performance) -> None:
    assert holds(step, right)
    assert not holds(step, wrong)


@pytest.mark.parametrize("step", ["the kettle should whistle", f"fill should complete with output:{quoted('x')}"])
def test_a_step_that_is_not_known_is_refused(step: str) -> None:
    with pytest.raises(UnknownStep):
        kit(step)
