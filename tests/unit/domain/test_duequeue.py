import math

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from spexporter.domain.duequeue import DueQueue, Entry

names = st.sampled_from("abcdefgh")
dues = st.one_of(st.floats(0, 1e9), st.just(math.inf), st.sampled_from([0.0, 1.0, 2.0]))


class Queue(RuleBasedStateMachine):
    """Held against two plain dictionaries that are sorted anew each time."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: DueQueue[str] = DueQueue()
        self.due_s: dict[str, float] = {}
        self.seen_s: dict[str, float] = {}  # in the order of looks
        self.now_s = 0.0

    @rule(name=names, due_s=dues)
    def add(self, name: str, due_s: float) -> None:
        self.queue.add(name, due_s)
        self.due_s[name] = due_s
        self.seen_s.pop(name, None)

    @rule(name=names, due_s=dues, after_s=st.floats(0, 10))
    def look_again(self, name: str, due_s: float, after_s: float) -> None:
        self.now_s += after_s
        self.queue.add(name, due_s, self.now_s)
        self.due_s[name] = due_s
        self.seen_s.pop(name, None)
        self.seen_s[name] = self.now_s

    @rule(name=names)
    def discard(self, name: str) -> None:
        self.queue.discard(name)
        self.due_s.pop(name, None)
        self.seen_s.pop(name, None)

    @precondition(lambda self: any(due_s < math.inf for due_s in self.due_s.values()))
    @rule()
    def take_the_first(self) -> None:
        head = self.queue.head()
        assert head is not None
        self.discard(head.target)

    @rule(count=st.integers(100, 300))
    def come_and_go(self, count: int) -> None:
        """Many others, so that places are taken again."""
        for number in range(count):
            self.queue.add(f"other {number}", 5.0)
        for number in range(count):
            self.queue.discard(f"other {number}")

    @invariant()
    def the_first_is_due_first(self) -> None:
        head, first_s = self.queue.head(), min(self.due_s.values(), default=math.inf)
        if first_s == math.inf:
            assert head is None
        else:
            assert head is not None
            # Of what is due within a microsecond either may come first.
            assert head.due_s <= first_s + 1e-6 + 1e-9 * first_s
            assert head == self.queue.get(head.target)

    @invariant()
    def the_longest_has_waited_longest(self) -> None:
        longest = self.queue.longest()
        if not self.seen_s:
            assert longest is None
        else:
            name = next(iter(self.seen_s))
            assert longest == Entry(name, self.due_s[name], self.seen_s[name])

    @invariant()
    def all_are_there(self) -> None:
        assert len(self.queue) == len(self.due_s)
        assert self.queue.waiting == len(self.seen_s)
        for name in "abcdefgh":
            due_s, seen_s = self.due_s.get(name), self.seen_s.get(name)
            assert self.queue.get(name) == (None if due_s is None else Entry(name, due_s, seen_s))


TestQueue = Queue.TestCase
