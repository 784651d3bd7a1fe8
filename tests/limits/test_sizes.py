"""What most answers of a model stay below."""

from jupiter_addons.limits.sizes import FEWEST, FIRST_TOKENS, KEPT, MODELS, Sizes


def test_of_a_model_that_has_hardly_answered_nothing_is_known():
    sizes = Sizes()
    for _ in range(FEWEST - 1):
        sizes.add("m", 7)
    assert sizes.usual("m") == sizes.usual("another") == FIRST_TOKENS
    sizes.add("m", 7)
    assert sizes.usual("m") == 7


def test_ninety_five_of_a_hundred_stay_below():
    sizes = Sizes()
    for tokens in range(1, 101):
        sizes.add("m", tokens)
    assert sizes.usual("m") == 96


def test_only_the_latest_answers_count():
    sizes = Sizes()
    for _ in range(KEPT):
        sizes.add("m", 10_000)
    for _ in range(KEPT):
        sizes.add("m", 5)
    assert sizes.usual("m") == 5


def test_made_up_models_do_not_fill_the_memory():
    sizes = Sizes()
    for number in range(2 * MODELS):
        sizes.add(f"m{number}", 1)
    assert len(sizes._of) == MODELS
