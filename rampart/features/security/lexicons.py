"""Words and phrases that speak of a purpose, counted for each hundred words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rampart.features.base import Feature, Span
from rampart.features.security.finding import Found, Part, Within
from rampart.features.security.message import Message

# Written for this table; one entry is a word or a phrase, in lower case.
_LEXICONS: Mapping[str, tuple[str, str]] = {
    "urgency": (
        "words that press for haste",
        """
        urgent, urgently, immediately, act now, right now, today only, hurry, last
        chance, expires, expire, deadline, final notice, within 24 hours, don't wait, do
        not delay, limited time, while supplies last, as soon as possible, attention,
        warning, important
        """,
    ),
    "money": (
        "words of money",
        """
        money, cash, dollars, dollar, price, prices, cheap, discount, free, loan, loans,
        mortgage, debt, credit, income, earn, profit, invest, investment, investors,
        million, billion, payment, refund, savings, rates, refinance, guarantee,
        guaranteed, fund, funds, wealth, bank, transfer, cost, per week, per month,
        money back
        """,
    ),
    "credentials": (
        "words that ask for secrets",
        """
        password, passwords, username, login, log in, sign in, pin, ssn, social
        security, account number, credit card, verify, verification, confirm your,
        update your account, suspended, unauthorized, security code, card number,
        expiration date, billing information
        """,
    ),
    "impersonation": (
        "names that are borrowed",
        """
        paypal, ebay, amazon, microsoft, apple, google, netflix, visa, mastercard,
        citibank, chase, wells fargo, irs, fedex, ups, dhl, usps, customer service,
        customer support, helpdesk, help desk, system administrator, security team,
        account team, billing department, barrister, minister, prince, late husband,
        next of kin
        """,
    ),
    "prizes": (
        "words of winning",
        """
        winner, win, won, prize, prizes, lottery, award, selected, congratulations,
        jackpot, casino, bonus, gift, sweepstakes, claim your, free trial, no
        obligation, risk free, no risk
        """,
    ),
    "body": (
        "words of medicine and sex",
        """
        viagra, cialis, pills, pharmacy, prescription, weight, fat, diet, herbal,
        enlargement, penis, sex, sexy, porn, xxx, adult, girls, singles, dating, nude,
        hgh, hormone, doctor, lose weight
        """,
    ),
    "opt_out": (
        "ways out of a list",
        """
        unsubscribe, opt out, opt - out, remove me, be removed, to be removed, removal,
        remove in the subject, this is not spam, received this email because, received
        this message because, never receive, further mailings, mailing list, future
        mailings, one time mailing
        """,
    ),
    "nobody": (
        "greetings to nobody in particular",
        """
        dear friend, dear sir, dear madam, dear customer, dear user, dear member, dear
        client, dear homeowner, dear valued, valued customer, hello friend, hi there, to
        whom it may concern, dear beneficiary, dear account holder, sir / madam
        """,
    ),
    "calls": (
        "calls to do something",
        """
        click here, click below, click on, visit our, order now, buy now, call now, call
        today, sign up, apply now, reply to this, fill out, fill in, download, open the
        attached, see attached, click the link, toll free, learn more, get started, join
        now, subscribe
        """,
    ),
    "talk": (
        "words of people who talk with each other",
        """
        i think, i guess, i don't, i'm, i've, i'd, thanks, cheers, btw, imo, imho,
        afaik, maybe, though, actually, yeah, anyone, anybody, does anyone, sorry, hmm,
        wrote, meeting, tomorrow, monday, tuesday, wednesday, thursday, friday, lunch,
        agree, wondering
        """,
    ),
    "craft": (
        "words of technical work",
        """
        bug, bugs, patch, kernel, compile, compiler, code, linux, perl, python, server,
        script, file, files, directory, install, package, version, config, debug, error,
        module, function, rpm, cvs, build, test, diff, unix, windows, problem, output,
        command, gcc, library
        """,
    ),
}
_PERSONS: Mapping[str, tuple[str, str]] = {
    "second_person": ("you and your", "you, your, yours, yourself"),
    "first_person": ("I, we and ours", "i, me, my, mine, we, us, our"),
}
# Each feature with its meaning and its entries.
_ENTRIES = {f"lexicon_{name}": of for name, of in _LEXICONS.items()} | dict(_PERSONS)

_FEATURES = tuple(
    Feature(name, "per 100 words", meaning) for name, (meaning, _) in _ENTRIES.items()
)


def _split(phrase: str) -> tuple[str, ...]:
    """A phrase as texts are split: its apostrophes are signs."""
    return tuple(phrase.replace("'", " ' ").split())


def _table() -> Mapping[str, list[tuple[tuple[str, ...], str]]]:
    """First word to the phrases that begin with it, longest first, each with its feature."""
    table: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for name, (_, entries) in _ENTRIES.items():
        for phrase in map(_split, entries.split(",")):
            table.setdefault(phrase[0], []).append((phrase, name))
    for phrases in table.values():
        phrases.sort(key=lambda entry: -len(entry[0]))
    return table


_TABLE = _table()


def _find(message: Message) -> Iterable[Found]:
    words = message.words
    places: dict[str, list[Span]] = {name: [] for name in _ENTRIES}
    for at, phrases in enumerate(map(_TABLE.get, words)):
        for phrase, name in phrases or ():
            end = at + len(phrase)
            if end == at + 1 or tuple(words[at:end]) == phrase:
                places[name].append((at, end))
    for name, found in places.items():
        yield Found(name, message.rate(len(found)), found, Within.WORDS)


PART = Part(_FEATURES, _find)
