"""What may still matter is kept, and the rest let go of a little at a time."""

from jupiter_addons.limits.states import Forever, Halves


def test_what_nobody_has_used_for_a_life_is_forgotten():
    halves: Halves[int] = Halves(10)
    halves.idle(9, 0)
    halves.put("a", 1)
    halves.put("b", 2)
    halves.idle(9, 11)
    halves.put("b", 3)
    halves.idle(9, 22)
    assert (halves.get("a"), halves.get("b"), len(halves)) == (None, 3, 1)
    halves.drop("b")
    assert halves.get("b") is None


def test_what_is_put_aside_is_freed_a_little_at_a_time():
    halves: Halves[int] = Halves(10)
    halves.idle(1, 0)
    for number in range(5):
        halves.put(str(number), number)
    halves.idle(2, 11)
    halves.idle(2, 22)
    assert [len(spent) for spent in halves._spent] == [3]
    halves.idle(100, 23)
    assert halves._spent == []


def test_a_life_only_grows():
    halves: Halves[int] = Halves(10)
    halves.last(30)
    halves.last(20)
    halves.idle(9, 0)
    halves.put("a", 1)
    halves.idle(9, 31)
    halves.idle(9, 61)
    assert halves.get("a") == 1


def test_amounts_are_kept_until_they_are_dropped():
    amounts = Forever()
    amounts.put("a", 1)
    amounts.put("b", 2)
    amounts.drop("a")
    amounts.drop("nobody")
    assert dict(amounts) == {"b": 2}
    amounts.idle(5, 0)
    assert not amounts
