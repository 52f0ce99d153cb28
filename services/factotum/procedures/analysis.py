"""The cost of a jq program, as a polynomial of the size of its data, read off its tree.

A bound that is given holds for every data of that size. Some programs are bounded for some values only
(`.a * .b` repeats a text if one of them is a text): those are guarded, see `Guard`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from factotum.procedures import cost_calls, cost_folds, syntax
from factotum.procedures.bounds import DATA, INPUT, ONE, SIZE, ZERO, Bound, Stream, constant, symbol
from factotum.procedures.cost import (
    CHARACTERS,
    CONVERSION,
    COPY,
    ENCODED,
    FORMATTED,
    STEP,
    UNKNOWN,
    Cost,
    Guard,
    Known,
    Scope,
    atoms,
    common,
    either,
    one,
    product,
    repeated,
    through,
)

# No expression that a person writes has so many.
MOST_NODES = 5000


@dataclass(slots=True)
class Analysis:
    """The costs of the nodes of one program, and the guards under which they hold."""

    guards: set[Guard] = field(default_factory=set)
    _fresh: int = 0
    _looked_at: int = 0

    def fresh(self) -> str:
        self._fresh += 1
        return f"v{self._fresh}"

    def guard(self, node: syntax.Node, condition: str, before: bool = False) -> None:
        self.guards.add(Guard(node.start, node.end, condition, before))

    def of(self, node: syntax.Node, scope: Scope) -> Cost:
        """The cost of a node for one input."""
        # A fold may be looked at twice, and one within it each time: what takes so long to know is unknown.
        self._looked_at += 1
        if self._looked_at > MOST_NODES:
            return UNKNOWN
        match node:
            case syntax.Identity():
                return Cost(Stream(ONE, scope.input.size, scope.input.size), ZERO, SIZE, scope.input.kind)
            case syntax.Number(value=value):
                return atoms(STEP, "number", constant(abs(value)))
            case syntax.Constant():
                return atoms(STEP)
            case syntax.Text():
                return self._text(node, scope)
            case syntax.Format():
                return one(SIZE * ENCODED + ONE, SIZE * ENCODED + STEP)
            case syntax.Variable(name=name):
                known = scope.variables.get(name, Known(symbol(DATA)))
                size = ONE if known.kind != "any" else known.size
                return Cost(Stream(ONE, size, size), STEP, size, known.kind)
            case syntax.Descent():
                return Cost(Stream(SIZE, SIZE, SIZE * SIZE), SIZE * 8, SIZE)
            case syntax.Pipe(stages=stages):
                return self.chain(stages, scope)
            case syntax.Comma(parts=parts):
                return self._comma(parts, scope)
            case syntax.Collection(content=content):
                return self._collection(content, scope)
            case syntax.Object(entries=entries):
                return self._object(entries, scope)
            case syntax.Index() | syntax.Slice() | syntax.Each():
                return self._path(node, scope)
            case syntax.Try(body=body, handler=handler):
                return self._try(body, handler, scope)
            case syntax.Negation(operand=operand):
                inner = self.of(operand, scope)
                return replace(inner, work=inner.work + STEP * inner.out.count, kind="number")
            case syntax.Binary():
                return self._binary(node, scope)
            case syntax.Choice(condition=condition, then=then, otherwise=otherwise):
                asked = self.of(condition, scope)
                chosen = either(self.of(then, scope), self.of(otherwise, scope))
                return repeated(chosen, asked)
            case syntax.Binding() | syntax.Fold() | syntax.Assignment():
                return cost_folds.of(self, node, scope)
            case syntax.Call():
                return cost_calls.of(self, node, scope)
        return UNKNOWN

    def chain(self, stages: tuple[syntax.Node, ...], scope: Scope) -> Cost:
        """The cost of each stage on every result of the one before."""
        cost = self.of(stages[0], scope)
        for stage in stages[1:]:
            cost = self.then(cost, stage, scope)
        return cost

    def then(self, first: Cost, stage: syntax.Node, scope: Scope) -> Cost:
        inner = self.of(stage, scope.reading(first.kind))
        return through(first, inner)

    def _text(self, node: syntax.Text, scope: Scope) -> Cost:
        size = constant(1 + len(node.text) / CHARACTERS)
        if not node.inserted:
            return one(size, STEP)
        parts = product([self.of(part, scope) for part in node.inserted])
        written = FORMATTED if node.format == "text" else ENCODED
        each = parts.out.each * written + size
        total = parts.out.total * written + size * parts.out.count
        work = parts.work + total + parts.out.count * float(4 * len(node.inserted))
        return Cost(Stream(parts.out.count, each, total), work, parts.peak.or_(each))

    def _comma(self, parts: tuple[syntax.Node, ...], scope: Scope) -> Cost:
        costs = [self.of(part, scope) for part in parts]
        count, total, each, work, peak = ZERO, ZERO, ZERO, ZERO, ZERO
        for cost in costs:
            count, total, work = count + cost.out.count, total + cost.out.total, work + cost.work + STEP
            each, peak = each.or_(cost.out.each), peak.or_(cost.peak)
        return Cost(Stream(count, each, total), work, peak, common(costs))

    def _collection(self, content: syntax.Node | None, scope: Scope) -> Cost:
        if content is None:
            return one(ONE, STEP)
        inner = self.of(content, scope)
        size = inner.out.total + ONE
        return Cost(Stream(ONE, size, size), inner.work + inner.out.count + STEP, inner.peak.or_(size))

    def _object(self, entries: tuple[syntax.Entry, ...], scope: Scope) -> Cost:
        if not entries:
            return one(ONE, STEP)
        nodes = tuple(node for entry in entries for node in (entry.key, entry.value))
        parts = product([self.of(part, scope) for part in nodes])
        count = parts.out.count
        each = parts.out.each + ONE
        work = parts.work + count * float(4 * len(nodes))
        return Cost(Stream(count, each, parts.out.total + count), work, parts.peak.or_(each))

    def _path(self, node: syntax.Index | syntax.Slice | syntax.Each, scope: Scope) -> Cost:
        target = self.of(node.target, scope)
        match node:
            case syntax.Each():
                return through(target, Cost(Stream(SIZE, SIZE, SIZE), SIZE * 3 + STEP, SIZE))
            case syntax.Slice(first=first, last=last):
                ends = product([self.of(end, scope) for end in (first, last) if end is not None])
                return repeated(through(target, one(SIZE, SIZE * COPY * CHARACTERS + STEP)), ends)
            case syntax.Index(key=key):
                keys = self.of(key, scope)
                found = repeated(target, keys)
                # An array as a key searches for every place where it is.
                search = ZERO
                if not isinstance(key, (syntax.Text, syntax.Number)) and keys.kind == "any":
                    search = target.out.total * keys.out.total * (COPY * 2)
                each = target.out.each + ONE
                return Cost(
                    Stream(found.out.count, each, found.out.total + found.out.count),
                    found.work + found.out.count * 2 + search,
                    found.peak,
                )

    def _try(self, body: syntax.Node, handler: syntax.Node | None, scope: Scope) -> Cost:
        tried = self.of(body, scope)
        if handler is None:
            return replace(tried, work=tried.work + STEP)
        thrown = tried.peak + constant(40)
        error = Cost(Stream(ONE, thrown, thrown), STEP, thrown)
        caught = through(error, self.of(handler, scope.reading("any")))
        count = tried.out.count + caught.out.count
        return Cost(
            Stream(count, tried.out.each.or_(caught.out.each), tried.out.total + caught.out.total),
            tried.work + caught.work,
            tried.peak.or_(caught.peak),
            common([tried, caught]),
        )

    def _binary(self, node: syntax.Binary, scope: Scope) -> Cost:
        left, right = self.of(node.left, scope), self.of(node.right, scope)
        both = product([left, right])
        count, each, total = both.out.count, both.out.each, both.out.total
        operator = node.operator
        if operator == "//":
            chosen = Stream(
                left.out.count + right.out.count,
                left.out.each.or_(right.out.each),
                left.out.total + right.out.total,
            )
            return Cost(chosen, left.work + right.work + STEP, left.peak.or_(right.peak), common([left, right]))
        if operator in ("and", "or"):
            return atoms(both.work, count=count)
        if operator in ("==", "!=", "<", ">", "<=", ">="):
            return replace(atoms(both.work + total * (COPY * 2), count=count), peak=both.peak)
        numeric = "number" in (left.kind, right.kind)
        if operator == "*" and not (left.kind == right.kind == "number"):
            return self._product(node, left, right, both)
        if operator == "%" or numeric:
            most = _most(operator, left.most, right.most)
            return replace(atoms(both.work, "number", most, count), peak=both.peak)
        if operator == "+":
            kind = "atom" if left.kind == right.kind == "atom" else "any"
            return Cost(both.out, both.work + total * COPY, both.peak, kind)
        if operator == "-":
            compared = left.out.total * right.out.total * COPY
            return Cost(Stream(count, left.out.each, left.out.total * right.out.count), both.work + compared, both.peak)
        if operator == "/":
            pieces = each * (2 * CHARACTERS + 2)
            pieces_total = total * (2 * CHARACTERS + 2)
            return Cost(Stream(count, pieces, pieces_total), both.work + pieces_total, both.peak.or_(pieces))
        return UNKNOWN

    def _product(self, node: syntax.Binary, left: Cost, right: Cost, both: Cost) -> Cost:
        """`*`: of numbers, or objects merged; a text times a number is let through only if both are constant."""
        for text, times in ((node.left, node.right), (node.right, node.left)):
            if isinstance(text, syntax.Text) and not text.inserted and isinstance(times, syntax.Number):
                size = constant((1 + len(text.text)) * max(1.0, times.value))
                return one(size, size + STEP)
        for operand, cost in ((node.left, left), (node.right, right)):
            if cost.kind != "number":
                self.guard(operand, 'type == "string"')
        if "number" in (left.kind, right.kind):
            return replace(atoms(both.work + both.out.count * 8, "number", count=both.out.count), peak=both.peak)
        work = both.work + both.out.total * 2 + both.out.count * 16
        return Cost(both.out, work, both.peak)


def _most(operator: str, left: Bound | None, right: Bound | None) -> Bound | None:
    """How large a sum may be; what is subtracted may be negative."""
    if left is None or right is None or operator not in ("+", "-"):
        return None
    return left + right


def work_of(tree: syntax.Node) -> tuple[Bound, frozenset[Guard]]:
    """The work of a program, reading its data and giving its first result or its error included, and its guards."""
    analysis = Analysis()
    cost = analysis.of(tree, Scope(Known(SIZE), {}))
    data = symbol(DATA)
    # The characters of a text are copied at once.
    work = cost.work + cost.out.each * (COPY if _gives_text(tree) else CONVERSION)
    if any(isinstance(node, syntax.Call) and node.name == "error" for node in syntax.walk(tree)):
        work = work + cost.peak * CONVERSION
    return work.at(INPUT, data) + data * CONVERSION, frozenset(analysis.guards)


def _gives_text(tree: syntax.Node) -> bool:
    last = tree.stages[-1] if isinstance(tree, syntax.Pipe) else tree
    return isinstance(last, (syntax.Text, syntax.Format)) or (
        isinstance(last, syntax.Call) and last.name in ("tostring", "tojson", "join", "ascii_downcase", "ascii_upcase")
    )


def folded_size(tree: syntax.Node) -> float:
    """The largest text that jq may compute from constants while it compiles."""
    return max((_constant_size(node) for node in syntax.walk(tree) if isinstance(node, syntax.Binary)), default=0.0)


def _constant_size(node: syntax.Node) -> float:
    """The characters of a constant text, the value of a number; 0 for what is no constant."""
    match node:
        case syntax.Text(text=text, inserted=()):
            return float(len(text))
        case syntax.Number(value=value):
            return 0.0 if value < 1 else value
        case syntax.Binary(operator="*", left=left, right=right):
            return _constant_size(left) * _constant_size(right) if _is_text(left) or _is_text(right) else 0.0
        case syntax.Binary(operator="+", left=left, right=right):
            return _constant_size(left) + _constant_size(right) if _is_text(left) or _is_text(right) else 0.0
    return 0.0


def _is_text(node: syntax.Node) -> bool:
    match node:
        case syntax.Text(inserted=()):
            return True
        case syntax.Binary(operator="*" | "+", left=left, right=right):
            return _is_text(left) or _is_text(right)
    return False
