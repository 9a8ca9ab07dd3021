"""What holds: a sentence goes out only if it is one fact retold, and every way to bend a fact is seen."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nodes._support.grounding import MAX_STATEMENTS, borne_out, verdicts
from nodes._support.retelling import Fact, fault
from nodes._support.statements import statements, without_opening
from nodes._support.wording import tokens
from nodes.tools.search_documents import _sentences

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [*(ROOT / "graphs/shop/docs").glob("*.md"), *(ROOT / "tests/data/museum").glob("*.md")]
)
FACTS = [sentence for path in DOCUMENTS for sentence in _sentences(path)]

INSIDE = "Delivery inside the country costs 4 euros and takes two days."
STORM = "Order 1204 (woollen blanket) is delayed by a storm and arrives on 14 May."
HOURS = "The shop is open from 9 to 18 on weekdays and from 10 to 14 on Saturdays."
EGGS = "6 eggs and 1 loaf of bread cost 4.60 euros."
FREE = "Orders above 60 euros are delivered free of charge."
PHOTO = "Broken goods are replaced for free if you send us a photo."


def holds(sentence: str, *facts: str) -> bool:
    judged = verdicts(sentence, facts)
    return bool(judged) and all(verdict.holds for verdict in judged)


@pytest.mark.parametrize(
    ("fact", "sentence"),
    [
        (INSIDE, "Delivery inside the country costs €4 and takes 2 days."),
        (INSIDE, "Your delivery inside the country costs 4 EUR and takes two days!"),
        (INSIDE, "Delivery inside the country costs EUR 4.00 and will take two days."),
        (INSIDE, "Delivery inside the country costs 4 euros."),
        (INSIDE, "Yes, delivery inside the country costs 4 euros and takes two days."),
        (STORM, "Your woollen blanket is delayed by a storm and will arrive on 14 May."),
        (STORM, "Order 1204 is delayed by a storm and arrives on May 14th."),
        (
            STORM,
            "The order 1204 (woollen blanket) is delayed by a storm, and arrives on the 14th of May.",
        ),
        (HOURS, "No, the shop is open from 9 to 18 on weekdays and from 10 to 14 on Saturdays."),
        (HOURS, "The shop is open from 9-18 on weekdays and from 10-14 on Saturdays."),
        (EGGS, "Six eggs and a loaf of bread cost €4.60."),
        (EGGS, "6 eggs and one loaf of bread cost 4.6 euros."),
        ("Food cannot be returned.", "Food can't be returned."),
        ("We are closed on Sundays.", "We're closed on Sunday."),
        ("It rained on 2 May 2026.", "It rained on 2026-05-02."),
        ("The bag weighs 4 kg.", "The bag weighs four kilograms."),
        ("A seat costs 1,200 euros.", "A seat costs €1200."),
        ("Der Laden ist am Montag geschlossen.", "Der Laden ist am Montag geschlossen."),
        ("店は月曜日に閉まります。", "店は月曜日に閉まります。"),
    ],
)
def test_the_fact_in_other_spelling_holds(fact: str, sentence: str) -> None:
    assert holds(sentence, fact), verdicts(sentence, [fact])


@pytest.mark.parametrize(
    ("fact", "sentence"),
    [
        # numbers and their units
        (INSIDE, "Delivery inside the country costs 5 euros."),
        (INSIDE, "Delivery inside the country costs 4 dollars."),
        (INSIDE, "Delivery inside the country costs $4."),
        (INSIDE, "Delivery inside the country costs 4."),
        (INSIDE, "Delivery inside the country costs -4 euros."),
        (INSIDE, "Delivery inside the country costs 4 euros and takes two weeks."),
        (INSIDE, "Delivery inside the country takes 4 days."),
        (INSIDE, "Delivery inside the country costs two euros and takes 4 days."),
        ("It is version 1.10.", "It is version 1.1."),
        ("Our phone number is 555 0142.", "Our phone number is 555 142."),
        ("You find us at 7a Mill Lane.", "You find us at 7 Mill Lane."),
        ("Delivery takes days.", "Delivery takes a day."),
        ("It costs 1.000 euros.", "It costs 1 euro."),
        # the number of one thing for another
        (HOURS, "The shop is open from 9 to 14 on Saturdays."),
        (HOURS, "The shop is open from 10 to 14 on weekdays."),
        (EGGS, "6 eggs cost 4.60 euros."),
        (EGGS, "1 egg and 6 loaves of bread cost 4.60 euros."),
        # words that nobody wrote
        (INSIDE, "Delivery inside France costs 4 euros."),
        (INSIDE, "A parcel to Spain takes two days."),
        ("Dogs are welcome in the shop.", "Cats are welcome in the shop."),
        ("Dogs are welcome in the shop.", "Dogs and cats are welcome in the shop."),
        (STORM, "Order 1204 is delayed by 14 May."),
        # denials
        ("We are closed on Sundays.", "We are not closed on Sundays."),
        ("We are closed on Sundays.", "No, we aren't closed on Sundays."),
        ("Food cannot be returned.", "Food can be returned."),
        (
            "Gift cards are sold from 10 euros and never expire.",
            "Gift cards are sold from 10 euros and expire.",
        ),
        ("No dogs are allowed.", "Dogs are allowed."),
        ("Dogs are allowed.", "No dogs are allowed."),
        ("Never mix bleach and acid.", "Never mix bleach."),
        # conditions
        (INSIDE, "Delivery costs 4 euros."),
        (FREE, "Orders are delivered free of charge."),
        (FREE, "Orders below 60 euros are delivered free of charge."),
        (PHOTO, "Broken goods are replaced for free."),
        (PHOTO, "Goods are replaced for free if you send us a photo."),
        (
            "You can change it until the parcel is packed.",
            "You can change it after the parcel is packed.",
        ),
        ("Knives are sharpened for 3 euros each.", "Knives are sharpened for 3 euros."),
        ("Delivery takes 2 days and 5 days on islands.", "Delivery takes 2 days."),
        ("A ticket is free and only for members.", "A ticket is free."),
        ("You get a refund or a voucher.", "You get a refund."),
        ("Delivery is free, on weekdays.", "Delivery is free."),
        ("Goods (broken) are replaced.", "Goods are replaced."),
        ("We do not deliver there.", "We do not deliver."),
        # time
        (STORM, "Order 1204 was delayed by a storm and arrived on 14 May."),
        ("Order 7 was delivered on 3 May.", "Order 7 will be delivered on 3 May."),
        ("Order 7 was delivered on 3 May.", "Order 7 is delivered on 3 May."),
        ("Order 7 will be sent on 3 May.", "Order 7 has been sent on 3 May."),
        ("Order 7 is cancelled.", "Order 7 will be cancelled."),
        (HOURS, "The shop will open from 9 to 18 on weekdays and from 10 to 14 on Saturdays."),
        # who
        ("You can return goods.", "We can return goods."),
        ("Members of our club get 5 percent off.", "Members of your club get 5 percent off."),
        # form
        (INSIDE, "Delivery inside the country costs 4 euros and"),
        (INSIDE, "Delivery inside the country costs 4 euros?"),
        (INSIDE, "It is false that delivery inside the country costs 4 euros."),
        (INSIDE, "Delivery inside the country costs 4 euros, NOT!"),
        (INSIDE, "It costs 4 euros."),
        ("Gift wrapping is done here. It costs 3 euros.", "It costs 3 euros."),
        (EGGS, "6 eggs and 1 loaf of bread."),
        ("3 pears and 2 cakes cost 9 euros.", "There are 3 pears."),
        (INSIDE, "Delivery inside the country costs 4\u200b0 euros."),
    ],
)
def test_a_fact_that_is_bent_does_not_hold(fact: str, sentence: str) -> None:
    assert not holds(sentence, fact)


def test_every_fact_holds_as_it_stands_and_on_no_other() -> None:
    assert len(FACTS) > 30
    for fact in FACTS:
        assert holds(fact, *FACTS), fact
        assert not holds(fact, *(other for other in FACTS if other != fact)), fact


def test_no_fact_survives_a_word_taken_out_put_in_or_changed() -> None:
    """Each change of one word that is heard makes another statement: none of the facts bears it out."""
    known = [Fact(fact) for fact in FACTS]
    for fact in FACTS:
        words = fact.rstrip(".").split()
        for place, word in enumerate(words):
            if word.lower() in ("the", "a", "an", "is", "are", "be", "and", "there", "your"):
                continue
            for put in ([], [word, "not"], ["only"], ["7"], ["never", word], ["abroad"]):
                bent = tokens(" ".join([*words[:place], *put, *words[place + 1 :]]))
                if bent != tokens(fact):
                    assert all(each.fault(bent) for each in known), (bent, fact)


def test_no_fact_survives_another_number_or_unit() -> None:
    for fact in FACTS:
        for old, new in [
            ("euros", "dollars"),
            ("euro", "dollar"),
            ("days", "weeks"),
            ("years", "months"),
        ]:
            bent = fact.replace(old, new)
            assert bent == fact or not holds(bent, *FACTS), bent
        for digit in range(10):
            bent = fact.replace(str(digit), str((digit + 1) % 10))
            assert bent == fact or not holds(bent, *FACTS), bent


def test_two_facts_are_not_mixed() -> None:
    facts = (INSIDE, "Delivery abroad costs 9 euros and takes five days.")
    assert not holds("Delivery abroad costs 4 euros and takes two days.", *facts)
    assert not holds("Delivery inside the country costs 9 euros.", *facts)
    assert holds("Delivery abroad costs €9. Delivery inside the country costs €4.", *facts)


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("Yes, dogs are welcome.", "Dogs are welcome."),
        ("No. We are closed.", "We are closed."),
        ("Yes, of course, you can.", "You can."),
        ("yes - it is", "It is"),
        ("No dogs are allowed.", "No dogs are allowed."),
        ("No-fee delivery.", "No-fee delivery."),
        ("Yes.", ""),
        ("Yesterday, it rained.", "Yesterday, it rained."),
    ],
)
def test_yes_and_no_are_cut(sentence: str, left: str) -> None:
    assert without_opening(sentence) == left


def test_a_fact_that_was_the_answer_to_another_question_loses_its_yes(tmp_path: Path) -> None:
    (tmp_path / "faq.md").write_text("Yes, dogs are welcome in the shop. It is open daily.")
    [fact] = _sentences(tmp_path / "faq.md")
    assert fact == "Dogs are welcome in the shop. It is open daily."
    [verdict] = verdicts("No, dogs are welcome.", ["Yes, dogs are welcome."])
    assert (verdict.sentence, verdict.fact, verdict.holds) == (
        "Dogs are welcome.",
        "Dogs are welcome.",
        True,
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("€4, 4 EUR, four euros", ["4", "euro"] * 3),
        ("9 May, May 9th, the 9th of May, 09 May", ["9 may", "9 may", "the", "9 may", "9 may"]),
        ("can't cannot can not", ["can", "not"] * 3),
        ("twenty-five, 25, a dozen, 12", ["25", "25", "12", "12"]),
        ("3% of 5 kg in 30 min", ["3", "percent", "of", "5", "kilogram", "in", "30", "minute"]),
        ("US$ 4,50 and £4", ["us", "4.5", "dollar", "and", "4", "pound sterling"]),
        ("<5 ~6 #7", ["<", "5", "~", "6", "#", "7"]),
    ],
)
def test_the_same_is_read_as_the_same(text: str, told: list[str]) -> None:
    assert tokens(text) == told


def test_a_text_is_cut_into_what_can_be_judged_alone() -> None:
    text = "We wrap gifts. It costs approx. 3 euros.\nAsk at the till.\n\nWe do not deliver to:\n\n- Norway.\n- Iceland\n\nBye."
    assert statements(text) == [
        "We wrap gifts. It costs approx. 3 euros.",
        "Ask at the till.",
        "We do not deliver to: Norway. Iceland",
        "Bye.",
    ]
    assert "Norway." in statements(text, lists=False)


def test_the_fault_says_what_is_wrong() -> None:
    assert fault("Delivery inside France costs 4 euros.", INSIDE) == "it adds 'france'"
    assert fault("Delivery inside the country costs 5 euros.", INSIDE) == "it makes up '5'"
    assert fault("Delivery costs 4 euros.", INSIDE) == "it leaves out 'inside'"


def test_a_summary_keeps_denials_conditions_and_units() -> None:
    source = [FREE, "Food cannot be returned.", "The hall is hired for 950 euros."]
    assert borne_out("The hall is hired for €950.", source)
    assert not borne_out("The hall is hired for 950 dollars.", source)
    assert not borne_out("Food can be returned.", source)
    assert not borne_out("Orders are delivered free of charge.", source)
    assert not borne_out("The hall is not hired.", source)


def test_the_work_grows_with_the_text_and_no_faster() -> None:
    def seconds(words: int) -> float:
        return min(once(words) for _ in range(3))

    def once(words: int) -> float:
        text = "It is a (word, " * words + "1,000,"
        begun = time.process_time()
        tokens(text)
        tokens("a" + "'d" * words)
        for said in (
            ". It is. " * words,
            "it is. " * words,
            "a\n" * words,
            "- a:\n" * words,
            '."' * words,
            "yes, " * words,
        ):
            statements(said)
            without_opening(said)
        return time.process_time() - begun

    assert seconds(40_000) < 40 * max(seconds(4_000), 0.005)
    assert len(verdicts("A b c. " * 5000, [INSIDE] * 5000)) == MAX_STATEMENTS
