"""The cost of what binds variables and of what goes through a state: `as`, `reduce`, `foreach`, assignments."""

from __future__ import annotations

from dataclasses import replace

from factotum.procedures import syntax
from factotum.procedures.bounds import INPUT, ONE, SIZE, ZERO, Bound, Stream, constant, symbol
from factotum.procedures.cost import COPY, STEP, UNKNOWN, Analyst, Cost, Known, Scope, through

# A path and what is at it are set in some steps; the containers on the way are copied at most once.
SETTING = 40
# A state may be put one level deeper by each node of its update. The steps counted for a level are so many
# that what stays within its steps stays some thousand levels deep: jq frees a value recursively.
STEPS_A_LEVEL = 150.0


def of(analysis: Analyst, node: syntax.Binding | syntax.Fold | syntax.Assignment, scope: Scope) -> Cost:
    match node:
        case syntax.Binding():
            return _binding(analysis, node, scope)
        case syntax.Fold():
            return _fold(analysis, node, scope)
        case syntax.Assignment():
            return _assignment(analysis, node, scope)


def _bound(pattern: syntax.Pattern, source: Cost, name: str, scope: Scope) -> Scope:
    simple = not pattern.keys and len(pattern.names) == 1
    kind = source.kind if simple else "any"
    return scope.binding(pattern.names, Known(symbol(name) if kind == "any" else ONE, kind))


def _computes(pattern: syntax.Pattern) -> bool:
    """Whether a pattern computes keys, or tries alternatives."""
    return pattern.alternatives or any(not isinstance(key, syntax.Text) or key.inserted for key in pattern.keys)


def _binding(analysis: Analyst, node: syntax.Binding, scope: Scope) -> Cost:
    if _computes(node.pattern):
        return UNKNOWN
    source, name = analysis.of(node.source, scope), analysis.fresh()
    inner = analysis.of(node.body, _bound(node.pattern, source, name, scope))
    values = source.out
    most = None if inner.most is None else inner.most.at(name, values.each)
    return Cost(
        Stream(
            inner.out.count.over(name, values), inner.out.each.at(name, values.each), inner.out.total.over(name, values)
        ),
        source.work + inner.work.over(name, values) + values.count * float(2 * len(node.pattern.names)),
        source.peak.or_(inner.peak.at(name, values.each)),
        inner.kind,
        most,
    )


def _fold(analysis: Analyst, node: syntax.Fold, scope: Scope) -> Cost:
    """The state grows by what an update adds to it; an update that makes more of the state itself is not bounded."""
    if _computes(node.pattern):
        return UNKNOWN
    source, initial, name = analysis.of(node.source, scope), analysis.of(node.initial, scope), analysis.fresh()
    within = _bound(node.pattern, source, name, scope)
    kind = initial.kind
    update = analysis.of(node.update, within.reading(kind))
    if kind != "any" and update.kind != kind:
        kind = "any"
        update = analysis.of(node.update, within.reading(kind))
    factor, added = update.out.each.without(INPUT)
    if factor > 1 or not _single(update.out.count):
        return UNKNOWN
    # The sizes that `SIZE` stands for in `added` would be those of the state: there are none left.
    state = initial.out.each + added.over(name, source.out) if kind == "any" else ONE
    runs = initial.out.count
    levels = 0 if kind != "any" else _levels(node.update)
    step = (update.work.at(INPUT, state) + constant(levels * STEPS_A_LEVEL)).over(name, source.out)
    work = source.work + initial.work + step * runs + source.out.count * runs * 4
    peak = source.peak.or_(initial.peak).or_(state).or_(update.peak.at(INPUT, state).at(name, source.out.each))
    if node.extract is None:
        return Cost(Stream(runs, state, state * runs), work, peak, kind)
    states = Stream(source.out.count * runs, state, source.out.count * runs * state)
    each_state = Cost(states, work, peak, kind)
    extracted = analysis.of(node.extract, within.reading(kind))
    fixed = replace(
        extracted,
        out=Stream(*(bound.at(name, source.out.each) for bound in _bounds(extracted.out))),
        work=extracted.work.at(name, source.out.each),
        peak=extracted.peak.at(name, source.out.each),
        most=None,
    )
    return through(each_state, fixed)


def _levels(update: syntax.Node) -> int:
    """How many levels deeper than the state the next one may be, at most."""
    deeper = (syntax.Collection, syntax.Object, syntax.Assignment)
    return sum(isinstance(node, deeper) for node in syntax.walk(update)) or any(
        isinstance(node, syntax.Call) for node in syntax.walk(update)
    )


def _bounds(stream: Stream) -> tuple[Bound, Bound, Bound]:
    return stream.count, stream.each, stream.total


def _single(count: Bound) -> bool:
    return count.terms is not None and set(count.terms) <= {()} and count.value(1) <= 1


def _assignment(analysis: Analyst, node: syntax.Assignment, scope: Scope) -> Cost:
    if not grows_by_names(analysis, node.target):
        return UNKNOWN
    places = analysis.of(node.target, scope)
    if node.operator == "|=":
        changed = through(places, analysis.of(node.source, scope.reading("any")))
        return _set(node.target, places, changed, ONE, changed.out.total)
    source = analysis.of(node.source, scope)
    if node.operator == "*=" and source.kind != "number":
        return UNKNOWN
    if node.operator == "*=":
        # A text there times a number here.
        if not isinstance(node.source, syntax.Number):
            return UNKNOWN
        written = places.out.total * max(1.0, node.source.value)
    elif node.operator in ("/=", "-="):
        written = places.out.total * 34 + source.out.each * places.out.count
    else:
        written = source.out.each * places.out.count
    extra = places.out.total * source.out.each * COPY if node.operator == "-=" else ZERO
    changed = Cost(places.out, source.work + places.work + extra + written, source.peak)
    return _set(node.target, places, changed, source.out.count, written)


def _set(target: syntax.Node, places: Cost, changed: Cost, count: Bound, written: Bound) -> Cost:
    each = SIZE + written + places.out.count * made(target)
    work = (places.work + changed.work + places.out.count * SETTING + each * COPY + STEP) * count
    return Cost(Stream(count, each, each * count), work, places.peak.or_(changed.peak).or_(each))


def made(target: syntax.Node) -> float:
    """The containers and keys that setting one place makes where there was nothing, and the nulls before an index."""
    match target:
        case syntax.Index(target=inner, key=syntax.Number(value=value)):
            return made(inner) + 2 + value
        case syntax.Index(target=inner):
            return made(inner) + 2
        case syntax.Each(target=inner) | syntax.Slice(target=inner) | syntax.Try(body=inner):
            return made(inner) + 1
    return 1.0 + sum(made(child) for child in syntax.children(target))


def grows_by_names(analysis: Analyst, target: syntax.Node) -> bool:
    """Whether setting what a program points at makes no array longer than its text says.

    An index that is computed is guarded: it must be no number.
    """
    match target:
        case syntax.Identity() | syntax.Descent() | syntax.Constant():
            return True
        case syntax.Each(target=inner) | syntax.Slice(target=inner) | syntax.Try(body=inner, handler=None):
            return grows_by_names(analysis, inner)
        case syntax.Index(target=inner, key=key):
            if isinstance(key, syntax.Number):
                return key.value <= 100 and grows_by_names(analysis, inner)
            if not isinstance(key, syntax.Text):
                analysis.guard(key, 'type == "number"')
            return grows_by_names(analysis, inner)
        case syntax.Pipe(stages=parts) | syntax.Comma(parts=parts):
            return all(grows_by_names(analysis, part) for part in parts)
        case syntax.Choice(then=then, otherwise=otherwise):
            return grows_by_names(analysis, then) and grows_by_names(analysis, otherwise)
        case syntax.Binary(operator="//", left=left, right=right):
            return grows_by_names(analysis, left) and grows_by_names(analysis, right)
        case syntax.Call(name=name, arguments=arguments):
            if name in ("select", "empty", "last", "strings", "arrays", "objects", "numbers", "recurse", "values"):
                return True
            return name == "first" and all(grows_by_names(analysis, part) for part in arguments)
    return False
