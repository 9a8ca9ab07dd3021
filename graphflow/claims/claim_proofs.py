"""How claims hold in a graph: proven in linear time where that will do, else by exploring, else left to the walk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphflow.claims.exploration import widest_text
from graphflow.claims.explorer import Explorer
from graphflow.claims.guard import ClaimRules
from graphflow.claims.monitor import Monitor
from graphflow.claims.must import MustSets
from graphflow.claims.targets import (
    Cast,
    Target,
    claim_problems,
    is_named,
    targets_of,
)
from graphflow.claims.verdict import ClaimVerdict, Counterexample
from graphflow.declaration.claims import (
    Apart,
    AtLeast,
    AtMost,
    Before,
    Claim,
    Claims,
    Exactly,
    Never,
    Only,
    split_arm,
)
from graphflow.errors import DeclarationError
from graphflow.proofs.activations import count_activations
from graphflow.proofs.counts import NONE, ONE, Count, add
from graphflow.proofs.proven import AnyGraph

PROVE_BUDGET = 100_000
"""States that `prove` looks at, if nothing is said."""
CHECK_BUDGET = 5_000
"""States that `check` looks at for one claim."""
CHECK_TOTAL = 50_000
"""States that it looks at for all of them together."""
SHORTEST_BUDGET = 20_000
"""States that are looked at in every order, for a walk that breaks a claim with fewer steps."""
MUST = "what must have answered"
COUNTS = "how often it can begin at most"
CALL_EDGES = "who has an edge to it"
ONE_TOKEN = "one thing at a time, and none leads back"
EXPLORED = "all walks were looked at"


class ClaimProofs:
    """What is known of claims in one graph."""

    def __init__(self, graph: AnyGraph) -> None:
        self.graph = graph
        self.targets = targets_of(graph)
        self._counts: dict[tuple[str, ...], list[Count]] = {}
        self._linear: dict[Claim, ClaimVerdict | None] = {}
        self._explored: dict[Claim, ClaimVerdict] = {}
        self._rules: tuple[Claims, ClaimRules] | None = None
        """What is enforced, as of the claims that were not proven when it was asked for last."""

    # -- asking ------------------------------------------------------------------------------------
    def verdict(
        self, claim: Claim, budget: int = PROVE_BUDGET, lists: int | None = None
    ) -> ClaimVerdict:
        """How a claim holds.

        Raises:
            DeclarationError: it names nothing in the graph.
        """
        problems = list(claim_problems((claim,), self.targets))
        if problems:
            raise DeclarationError(f"graph {self.graph.name!r}: {problems[0]}")
        self.prove_linearly((claim,))
        linear = self._linear[claim]
        if linear is not None:
            return linear
        cast = Cast(claim, self.targets)
        is_declared = claim in self.graph.claims
        decided = self._decider(cast)
        if decided:
            if is_declared:
                return ClaimVerdict(claim, "enforced", decided, is_enforced=True)
            text = f"{decided}; declare it, and the walk enforces it"
            return ClaimVerdict(claim, "unknown", text)
        known = self._explored.get(claim)
        if known is not None and known.status != "unknown" and lists is None:
            return known
        verdict = self._explore(cast, budget, lists, is_declared=is_declared)
        if lists is None:
            self._explored[claim] = verdict
        return verdict

    @property
    def enforced(self) -> Claims:
        """The claims that the walk has to see to: those that are not known to hold whatever happens."""
        claims = self.graph.claims
        self.prove_linearly(claims)
        left: list[Claim] = []
        for claim in claims:
            if self._linear[claim] is not None:
                continue
            explored = self._explored.get(claim)
            # What was proven for short lists is enforced for long ones.
            if explored is None or explored.status != "proven" or explored.lists is not None:
                left.append(claim)
        return tuple(left)

    @property
    def rules(self) -> ClaimRules | None:
        """What each walk of the graph has to see to; None if nothing."""
        enforced = self.enforced
        if not enforced:
            return None
        if self._rules is None or self._rules[0] != enforced:
            self._rules = enforced, ClaimRules(self.graph, enforced)
        return self._rules[1]

    def all_verdicts(self) -> Iterator[ClaimVerdict]:
        """How each claim of the graph holds, as `check()` tells it."""
        left = CHECK_TOTAL
        for claim in self.graph.claims:
            budget = min(CHECK_BUDGET, left)
            verdict = self.verdict(claim, budget)
            left = max(0, left - verdict.states)
            yield verdict

    def _decider(self, cast: Cast) -> str:
        """Who decides whether a claim holds, if that is not the graph."""
        if cast.has_calls:
            for role in cast.roles:
                for target in role:
                    if target.is_call:
                        return f"a model or code decides when {target.name!r} begins"
        if self.targets.has_server:
            for name in cast.claim.names:
                path, _ = split_arm(name)
                if not self.targets.named(path):
                    return f"a server may have {path!r}"
            if isinstance(cast.claim, Only):
                return "a server may have more of them"
        return ""

    # -- in linear time ----------------------------------------------------------------------------
    def prove_linearly(self, claims: Sequence[Claim]) -> None:
        """Proves what needs no exploring, all of these claims at once."""
        todo = [claim for claim in claims if claim not in self._linear]
        if not todo:
            return
        casts = [Cast(claim, self.targets) for claim in todo]
        musts = MustSets(self.targets, casts)
        for place, cast in enumerate(casts):
            self._linear[cast.claim] = self._proven(place, cast, musts)

    def _proven(self, place: int, cast: Cast, musts: MustSets) -> ClaimVerdict | None:
        """The proof of a claim; None if it takes more than that."""
        claim = cast.claim
        if self._has_unknown(cast):
            return None
        if isinstance(claim, Only):
            if cast.roles[0]:
                return None
            vacuous = not self._calls_any(claim)
            return ClaimVerdict(claim, "proven", CALL_EDGES, vacuous=vacuous)
        if cast.fork is not None:
            return None
        by = self._reason(place, cast, musts)
        return ClaimVerdict(claim, "proven", by) if by else None

    def _reason(self, place: int, cast: Cast, musts: MustSets) -> str:
        """Why a claim about whole walks holds; empty if that is not seen."""
        claim = cast.claim
        holds = False
        by = MUST
        if isinstance(claim, Before):
            later = cast.roles[1]
            holds = all(musts.holds_before(place, 0, each.frame, each.slot) for each in later)
        elif isinstance(claim, AtLeast):
            holds = claim.times == 1 and musts.holds_at_end(place, 0)
        elif isinstance(claim, AtMost):
            by = COUNTS
            holds = not cast.has_calls and self._begins_within(cast.roles[0], claim.times)
        elif isinstance(claim, (Apart, Never)):
            by = ONE_TOKEN
            holds = self._never_meet(cast)
        return by if holds else ""

    def _has_unknown(self, cast: Cast) -> bool:
        """Whether a server may bring more of what it speaks of."""
        return self.targets.has_server and bool(self._decider(cast))

    def _calls_any(self, claim: Only) -> bool:
        for target in self.targets.all:
            if not target.caller or not is_named(target.caller, claim.caller):
                continue
            if any(is_named(target.way, name) for name in claim.calls):
                return True
        return False

    def _begins_within(self, targets: Sequence[Target], times: int) -> bool:
        # Counts of different places may overlap in time, and they add up whatever the order.
        total = add(NONE, *[self._count(target) for target in targets])
        return total.finite and total.times <= times

    def _count(self, target: Target) -> Count:
        """How often a node on arrows begins at most."""
        count = ONE
        frame, slot = target.frame, target.slot
        while True:
            if frame not in self._counts:
                self._counts[frame] = count_activations(self.targets.frames[frame].proof)
            count = count * self._counts[frame][slot]
            if not frame:
                return count
            *around, name = frame
            frame = tuple(around)
            for each in self.targets.frames[frame].program.slots:
                if each.name == name and each.node is not None:
                    slot = each.index

    def _never_meet(self, cast: Cast) -> bool:
        """Whether two nodes of a graph with one token never meet: for `Never`, also whether none leads to the other."""
        program = self.graph.program
        if not program.straight or cast.has_calls:
            return False
        one, other = cast.roles
        if any(target.frame for target in (*one, *other)):
            return False
        ours = {target.slot for target in one}
        theirs = {target.slot for target in other}
        if isinstance(cast.claim, Never):
            theirs |= self._reached_from(theirs)
        return not ours & theirs

    def _reached_from(self, slots: set[int]) -> set[int]:
        """The nodes that a way leads to from one of these."""
        reached: set[int] = set()
        todo = list(slots)
        while todo:
            for link in self.graph.proof.topology.out[todo.pop()]:
                if link.target not in reached:
                    reached.add(link.target)
                    todo.append(link.target)
        return reached

    # -- by exploring ------------------------------------------------------------------------------
    def _explore(
        self, cast: Cast, budget: int, lists: int | None, *, is_declared: bool
    ) -> ClaimVerdict:
        claim = cast.claim
        longest = self._longest_list(claim) if lists is None else lists
        explorer, monitor = self._explorer(cast, budget, longest)
        explorer.run()
        if explorer.broken is not None:
            shortest = self._shortest(cast, longest, explorer)
            example = Counterexample(
                self.graph.name,
                claim,
                shortest.way_to(shortest.broken or 0),
                shortest.broken_at_end,
            )
            return ClaimVerdict(
                claim,
                "refuted",
                EXPLORED,
                explorer.states,
                counterexample=example,
                is_enforced=is_declared,
            )
        if not explorer.is_complete:
            return ClaimVerdict(
                claim,
                "unknown",
                "there are too many states",
                explorer.states,
                widest=widest_text(explorer.widest),
                is_enforced=is_declared,
            )
        return ClaimVerdict(
            claim,
            "proven",
            EXPLORED,
            explorer.states,
            lists=longest if explorer.maps else None,
            vacuous=_is_vacuous(claim, monitor),
        )

    def _explorer(
        self, cast: Cast, budget: int, longest: int, *, reduced: bool = True, shortest: bool = False
    ) -> tuple[Explorer, Monitor]:
        monitor = Monitor(cast)
        explorer = Explorer(
            self.graph,
            monitor,
            frames=cast.frames,
            sizes=range(longest + 1),
            budget=budget,
            reduced=reduced,
            shortest=shortest,
        )
        return explorer, monitor

    def _shortest(self, cast: Cast, longest: int, found: Explorer) -> Explorer:
        """The exploration that has found the shortest walk; that which has found any, if all others are too large."""
        # The reduced exploration leaves out orders, and the shortest walk may be one of them.
        for reduced in (False, True):
            other, _ = self._explorer(
                cast, SHORTEST_BUDGET, longest, reduced=reduced, shortest=True
            )
            other.run()
            if other.broken is not None:
                return other
        return found

    def _longest_list(self, claim: Claim) -> int:
        """The longest list that is tried: one more than is counted, or taken."""
        longest = 2
        if isinstance(claim, (AtMost, AtLeast, Exactly)):
            longest = max(longest, claim.times + 1)
        for graph in self.targets.frames.values():
            for slot in graph.program.slots:
                if slot.join is not None and slot.join.take is not None:
                    longest = max(longest, slot.join.take + 1)
        return longest


def _is_vacuous(claim: Claim, monitor: Monitor) -> bool:
    """Whether a claim that was proven by exploring holds because what it speaks of never happens."""
    if isinstance(claim, Before):
        return 1 not in monitor.seen
    if isinstance(claim, (Never, Apart)):
        return not {0, 1} <= monitor.seen
    if isinstance(claim, AtMost):
        return 0 not in monitor.seen and claim.times > 0
    return False


# -- claims beside each other ----------------------------------------------------------------------
def contradictions(claims: Claims) -> Iterator[str]:
    """Pairs of claims of which no walk can keep both, or only one in which nothing happens."""
    yield from _contradicting_counts(claims)
    known = set(claims)
    for claim in claims:
        if not isinstance(claim, Before):
            continue
        ring = Before(claim.then, claim.first, claim.per) if "[" not in claim.first else None
        if ring in known and claim.first < claim.then:
            yield f"{claim} and {ring} contradict each other: neither can ever begin"
        never = Never(claim.then, after=claim.first, per=claim.per)
        if never in known:
            yield f"{claim} and {never} contradict each other: {claim.then!r} can never begin"


def _contradicting_counts(claims: Claims) -> Iterator[str]:
    most: dict[str, Claim] = {}
    for claim in claims:
        if isinstance(claim, (AtMost, Exactly)):
            known = most.setdefault(claim.node, claim)
            if _times_of(claim) < _times_of(known):
                most[claim.node] = claim
    for claim in claims:
        if not isinstance(claim, (AtLeast, Exactly)):
            continue
        path, _ = split_arm(claim.node)
        bound = most.get(path)
        if bound is not None and claim.times > _times_of(bound):
            yield f"{claim} and {bound} contradict each other: no walk can complete"


def _times_of(claim: Claim) -> int:
    assert isinstance(claim, (AtLeast, AtMost, Exactly))
    return claim.times


def claim_lines(graph: AnyGraph) -> tuple[list[str], list[str]]:
    """What `check()` says of a graph's claims: how each holds, and what is probably not meant."""
    facts: list[str] = []
    warnings = list(contradictions(graph.claims))
    for verdict in claim_proofs_of(graph).all_verdicts():
        facts.append(f"claim {verdict.claim}: {verdict.how}")
        if verdict.vacuous:
            warnings.append(f"{verdict.claim} is vacuous: what it speaks of never happens")
        if verdict.status == "refuted":
            warnings.append(f"the arrows allow a walk that breaks {verdict}")
    return facts, warnings


_PROOFS = "_claim_proofs"


def claim_proofs_of(graph: AnyGraph) -> ClaimProofs:
    """What is known of claims in a graph, kept with it."""
    known: ClaimProofs | None = graph.__dict__.get(_PROOFS)
    if known is None:
        known = ClaimProofs(graph)
        graph.__dict__[_PROOFS] = known
    return known
