"""Which jq programs may run: those that read nothing but their input, and that end.

An allow-list of built-ins, so that a new version of jq cannot add a way out. What is left out:
the clock and the environment (`now`, `localtime`, `env`, `$ENV`), other inputs and output streams
(`input`, `debug`, `stderr`, `halt`), modules, and what can go on forever whatever the data is (`def`,
`repeat`, `until`, `while`, `recurse` with arguments). What ends but may take long or make much
(`range`, `combinations`) is allowed: it runs where it can be stopped.
"""

from __future__ import annotations

from factotum.procedures import syntax
from factotum.procedures.lexing import SyntaxFault

ALLOWED = frozenset(
    """
    IN INDEX abs add all any arrays ascii_downcase ascii_upcase booleans bsearch capture cbrt ceil combinations
    contains del delpaths empty endswith error exp exp10 exp2 explode fabs finites first flatten floor format
    from_entries fromdate fromdateiso8601 fromjson fromstream getpath gmtime group_by gsub has implode in index indices
    infinite inside isempty isfinite isinfinite isnan isnormal iterables join keys keys_unsorted last length limit log
    log10 log2 ltrim ltrimstr map map_values match max max_by min min_by mktime nan normals not nth nulls numbers
    objects path paths pick pow range recurse reverse rindex round rtrim rtrimstr scalars scan select setpath skip sort
    sort_by split splits sqrt startswith strftime strings strptime sub test to_entries toboolean todate todateiso8601
    tojson tonumber tostream tostring transpose trim trimstr trunc truncate_stream type unique unique_by utf8bytelength
    values walk with_entries
    """.split()  # noqa: SIM905  (one name a line would hide the list's shape)
)
REFUSED_VARIABLES = frozenset(("ENV", "__loc__", "__prog_args"))


class ImpureExpression(SyntaxFault):
    """The expression reads what it may not, or cannot be shown to end."""


def check(tree: syntax.Node) -> None:
    """Raises `ImpureExpression` naming a word that is not allowed."""
    for node in syntax.walk(tree):
        if isinstance(node, syntax.Call):
            if node.name == "recurse" and node.arguments:
                raise ImpureExpression("`recurse` with arguments is not allowed in an expression: it may never end")
            if node.name not in ALLOWED:
                raise ImpureExpression(
                    f"`{node.name}` is not allowed in an expression: it reads something other than its input, "
                    "or may never end"
                )
        names = node.names if isinstance(node, syntax.Pattern) else ()
        if isinstance(node, syntax.Variable):
            names = (node.name,)
        for name in names:
            if name in REFUSED_VARIABLES or "::" in name:
                raise ImpureExpression(f"`${name}` is not allowed in an expression")
