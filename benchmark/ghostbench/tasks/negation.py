"""What free text says about ghost probing: each mention judged by the negation and the doubt of its own clause.

The method is NegEx (Chapman, Bridewell, Hanbury, Cooper, Buchanan: "A simple algorithm for identifying negated findings
and diseases in discharge summaries", J. Biomed. Inform. 34, 2001): trigger words before or after a mention, phrases
that only look like triggers, and words that end a trigger's reach. Clauses and lists are added: a negation
stays within its clause, and passes a comma only along a list that "or" or "nor" closes ("no cut-in, ghost probing or
crash").

    "no ghost probing or potential ghost probing detected"                    normal
    "potential ghost probing (not close enough for … ghost probing)"          potential_ghost_probing
    "no collision, ghost probing"                                             ghost_probing
    "ghost probing cannot be ruled out"                                       potential_ghost_probing

The words are English; of Chinese, the usual phrases around 鬼探头 are known. A task may bring further words (`Words`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from ghostbench.records import Grade

Word = Annotated[str, Field(min_length=1, max_length=60, pattern=r"\S")]

REACH: Final = 200
"""How far from a mention its triggers are looked for, characters: some thirty words."""

_MENTION: Final = "\ue000"
_MAYBE: Final = "\ue001"


class Words(BaseModel):
    """Words of a task's own beside those that the rules know, in any language.

    mentions : what ghost probing is called. denials, doubts : what stands before a mention and denies or doubts it, as
    "no" and "potential" do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    mentions: Annotated[list[Word], Field(min_length=1, max_length=200)]
    denials: Annotated[list[Word], Field(max_length=200)] = []
    doubts: Annotated[list[Word], Field(max_length=200)] = []


def stated_grade(text: str, words: Words | None = None) -> Grade:
    """The highest grade that the text states of the clip; "normal" where it mentions no ghost probing, or denies it.

    text : untrusted, of any length; the time taken grows in proportion to it.
    words : further words for mentions, denials and doubts.

    >>> stated_grade("no ghost probing or potential ghost probing detected")
    'normal'
    >>> stated_grade("a dart-out, not a cut-in", Words(mentions=["dart-out"]))
    'ghost_probing'
    """
    if words is not None:
        text = _in_known_words(text, words)
    highest: Grade = "normal"
    for clause in _clauses(_marked(text)):
        for grade in _clause_grades(clause):
            if grade == "ghost_probing":
                return grade
            if grade == "potential_ghost_probing":
                highest = grade
    return highest


def _in_known_words(text: str, words: Words) -> str:
    """The text with a task's own words replaced by those of the rules that mean the same."""
    means = {_folded(word): " ghost probing " for word in words.mentions}
    means |= {_folded(word): " no " for word in words.denials} | {_folded(word): " potential " for word in words.doubts}
    # The longest first, and whole words only where letters stand apart by spaces.
    spelled = "|".join(_whole_word(word) for word in sorted(means, key=len, reverse=True))
    return re.sub(spelled, lambda found: means[found[0]], _folded(text))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _whole_word(word: str) -> str:
    before, after = (r"\b" if character.isascii() and character.isalnum() else "" for character in (word[0], word[-1]))
    return f"{before}{re.escape(word)}{after}"


def _marked(text: str) -> str:
    """The text in lower case, with a mark for every mention, and phrases rewritten that are not what they look like."""
    text = _folded(text)
    text = re.sub(f"[{_MENTION}{_MAYBE}]", " ", text)
    text = re.sub(r"[*_\"`“”„«»]", " ", text).replace("’", "'")
    text = re.sub(r"(?<=\w)[\u2010-\u2013](?=\w)", "-", text)
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r"\bghost[\s\u2010-\u2015-]*prob(?:ing|e[sd]?)s?\b|鬼探头", f" {_MENTION} ", text)
    text = _VALUE_NO.sub(f" no {_MENTION} ", text)
    text = _VALUE_MAYBE.sub(f" potential {_MENTION} ", text)
    text = re.sub(rf"{_MENTION}(?:\s*{_MENTION})+", _MENTION, text)
    text = _DOUBT.sub(f" {_MAYBE} ", text)
    return _NO_NEGATION.sub(" ", text)


_QUALITY: Final = (
    r"(?:\s+(?:detected|observed|found|seen|identified|present|confirmed|assessment|check|status|risk|level|behaviou?r"
    r"|event|detection|result|verdict|likelihood|probability))?"
)
_STOP: Final = r"\s*(?:[.,;|\n)—–-]|\(|(?:because|since|as|but|due)\b|$)"
_NO_VALUE: Final = rf"(?:no|none|not|nil|false|absent|negative|n/a|not applicable|无|否|没有){_QUALITY}"
_MAYBE_VALUE: Final = r"(?:potential|possible|possibly|suspected|likely|maybe|uncertain|unclear|unconfirmed|可能)"
_VALUE_NO, _VALUE_MAYBE = (
    re.compile(
        rf"{_MENTION}{_QUALITY}\s*"
        rf"(?:(?:[:=]|-+\s)\s*{value}(?={_STOP}|\s*{_MENTION})|\(\s*{value}(?={_STOP})(?:\s*\))?)"
    )
    for value in (_NO_VALUE, _MAYBE_VALUE)
)
"""A mention used as the name of a field: "ghost probing: none detected", "ghost probing (possible)"."""

_DOUBT: Final = re.compile(
    r"\b(?:can(?:not|'t| not)|could(?: not|n't)|not|never)\s+(?:be\s+)?(?:entirely\s+|fully\s+|completely\s+)?"
    r"(?:rul(?:e|ed) out|exclud(?:e|ed)|dismiss(?:ed)?)\b"
    r"|\bnot (?:unlikely|impossible|necessarily|certain|sure)\b|\b(?:unclear|uncertain|unsure)\b|不排除|不能排除"
)
_NO_NEGATION: Final = re.compile(
    r"\bnot (?:only|just|merely|simply|solely)\b|\bno (?:doubt|question)\b|\bwithout (?:a |any )?(?:doubt|question)\b"
    r"|\b(?:without|no|not enough|insufficient|(?:lack|absence) of) "
    r"(?:any |prior |advance |clear |sufficient |adequate |enough |street |traffic )*"
    r"(?:warning|notice|signal(?:s|l?ing)?|time|hesitation|visibility|view|light(?:s|ing)?|room|space|attention|caution"
    r"|looking|yielding|slowing(?: down)?|stopping)"
    r"\b(?!\s*,?\s*(?:or|nor)\b)|\bnothing but\b"
)

_CLAUSE_END: Final = re.compile(
    r"[;:!。\n\[\]{}|—–]|\?|\.(?!\d)|\s-+\s"
    r"|\b(?:but|however|though|although|while|whereas|because|since|unless|until|then|therefore|thus|hence)\b|但是|但|而是"
)


def _clauses(text: str) -> list[str]:
    """The clauses of a marked text. What stands in parentheses is a clause of its own, and leaves its surroundings
    whole; a mere second name ("鬼探头 (ghost probing)") belongs to the clause around it."""
    open_texts: list[list[str]] = [[]]
    finished: list[str] = []
    for piece in re.split(r"([()])", text):
        if piece == "(":
            open_texts.append([])
        elif piece == ")" and len(open_texts) > 1:
            inner = "".join(open_texts.pop())
            if _SECOND_NAME.fullmatch(inner):
                open_texts[-1].append(inner)
            else:
                finished.append(inner)
        elif piece != ")":
            open_texts[-1].append(piece)
    finished += ["".join(pieces) for pieces in open_texts]
    questioned = (re.sub(rf"{_MENTION}\s*\?", f"{_MENTION} {_MAYBE} ", part) for part in finished)
    return [clause for part in questioned for clause in _CLAUSE_END.split(part) if _MENTION in clause]


_SECOND_NAME: Final = re.compile(rf"\s*(?:i\.e\.,?\s*|e\.g\.,?\s*|or\s+)?{_MENTION}\s*")


def _clause_grades(clause: str) -> Iterator[Grade]:
    segments = clause.replace("、", " or ").split(",")
    carried = False
    for segment, goes_on in zip(segments, _list_goes_on(segments), strict=True):
        carried = carried and goes_on
        for match in re.finditer(_MENTION, segment):
            yield _mention_grade(segment, match.start(), carried)
        carried = carried or _LIST_DENIAL.search(_last_words(segment, len(segment))) is not None


def _last_words(text: str, end: int) -> str:
    """The whole words among the last `REACH` characters before `end`: half of "piano" would deny."""
    start = max(0, end - REACH)
    return text[start:end] if start == 0 else text[start:end].partition(" ")[2]


def _list_goes_on(segments: list[str]) -> list[bool]:
    """For each segment: whether it goes on a list that this or a later segment closes with "or" or "nor"."""
    closes = [False] * len(segments)
    ahead = False
    for index in range(len(segments) - 1, -1, -1):
        words = segments[index].split(maxsplit=_LONGEST_ITEM)
        short = len(words) <= _LONGEST_ITEM
        ahead = short and (ahead or "or" in words or "nor" in words)
        closes[index] = ahead
    return closes


_LONGEST_ITEM: Final = 5
"""Words in an item of a list; what is longer is a statement of its own."""


def _mention_grade(segment: str, mark: int, carried: bool) -> Grade:
    before = _last_words(segment, mark)
    after = segment[mark + 1 : mark + 1 + REACH]
    if carried or _denies(before) or _DENIED_AFTER.match(after.replace(_MENTION, "it")):
        return "normal"
    if _DOUBTED_BEFORE.search(before) or _DOUBTED_AFTER.match(after):
        return "potential_ghost_probing"
    return "ghost_probing"


_DENIAL: Final = re.compile(
    r"\b(?:no|not|never|without|neither|nor|none|nothing|cannot|non|lack(?:s|ing)?|absen(?:t|ce)|unlikely|unlike"
    r"|insufficient(?:ly)?|hardly|barely|scarcely|den(?:y|ies|ied)|rul(?:e|es|ed|ing) out|exclud(?:e|es|ed|ing)"
    r"|rather than|instead of|as opposed to|free (?:of|from)|negative for"
    r"|fail(?:s|ed|ing)? to (?:meet|qualify|constitute|reach|amount|be|rise|satisfy)"
    r"|too [\w-]+ (?:for|to (?:be|qualify|count|constitute)))\b|n't\b"
    r"|(?:没有?|并非|并?不是|不属于|不构成|不存在|不算|不符合|未|无|非|排除)(?:任何|明显的?|典型的?|真正的?|潜在的?"
    rf"|可能的?|发现|检测到?|观察到?|识别到?|出现|发生|存在|构成|属于|到|见|或者?|和|以?及|加塞|切入|or|\s|{_MENTION})*$"
)
_LIST_DENIAL: Final = re.compile(
    r"\b(?:no|without|neither|nor|(?:free|absence|lack) of|not (?:a|an|any))\b"
    r"|(?:\bnot|n't) (?:show|involve|include|contain|constitute|indicate|depict|feature|exhibit)\b"
)
"""Denials that can govern a list; "not visible, ghost probing or …" denies no list."""
_REACH_END: Final = re.compile(
    r"\b(?:due|before|after|despite|during|when|upon|avoid(?:s|ed|ing)?|prevent(?:s|ed|ing)?|react(?:s|ed|ing)?"
    r"|respond(?:s|ed|ing)?|response)\b"
)
_EXCEPT: Final = re.compile(r"\b(?:other than|except(?: for)?|apart from|aside from)\b")


def _denies(before: str) -> bool:
    """Whether a denial in the words before a mention reaches it."""
    exception = _EXCEPT.search(before)
    if exception is not None:
        return not _denies(before[: exception.start()])
    reached = _REACH_END.split(before)[-1]
    return _DENIAL.search(reached) is not None


_SEEN: Final = (
    r"(?:detected|observed|present|seen|identified|found|evident|apparent|confirmed|noted|involved|applicable|indicated"
    r"|likely|warranted|required|recogni[sz]ed|occur(?:red|ring)?|happen(?:ed|ing)?|exist|apply|appear|take place"
    r"|the case)"
)
_NO_PREPOSITION: Final = r"(?!(?:by|of|from|with|that|which|who|whose|behind|at|in|on|to|into|for|due|after|before)\b)"
_DENIED_AFTER: Final = re.compile(
    rf"\s*(?:{_NO_PREPOSITION}[\w'/-]+\s+){{0,6}}?(?:not|never|cannot|\w+n't)"
    rf"(?:\s+(?:\w+ly|been|be|yet|being|actually|considered))*\s+{_SEEN}\b(?!\s+(?:by|until|in time|early|soon|before))"
    rf"|\s*(?:{_NO_PREPOSITION}[\w'/-]+\s+){{0,6}}?(?:is|was|are|were|be|been|being|seems|appears|remains)\s+"
    r"(?:\w+ly\s+)*(?:ruled out|excluded|absent|unlikely|dismissed)\b"
    r"|\s*(?:unlikely|absent|excluded|ruled out)\b|\s*(?:行为|现象|事件|风险)?\s*(?:未(?:发现|检测|出现|发生)|不存在)"
)
_MODIFIERS: Final = (
    r"(?:\s+(?!(?:and|or|with|from|by|in|on|at|to|due|before|after|despite|during|when|upon)\b)[\w'/-]+){0,3}\s*$"
)
_DOUBTED_BEFORE: Final = re.compile(
    rf"\b(?:potential|potentially|possible|possibly|probable|probably|likely|suspected|apparent|apparently|maybe"
    rf"|perhaps|unconfirmed|plausible|low-confidence|may|might|could|if"
    rf"|(?:risk|chance|possibility|danger|threat|likelihood) of|in case of"
    rf"|(?:watch|watching|monitor|monitoring|alert|look|looking|scan|scanning|prepare|prepared|ready|vigilant|vigilance"
    rf"|cautious|caution|beware) (?:out )?(?:for|of|to|about)|anticipat(?:e|es|ed|ing)){_MODIFIERS}"
    rf"|\b(?:near|nearly|almost|borderline)[\s-]*$"
    rf"|{_MAYBE}[^{_MENTION}]*$|(?:潜在|可能|疑似|或许|类似)[^{_MENTION}]*$"
)
_DOUBTED_AFTER: Final = re.compile(
    rf"\s*(?:(?:is|was|seems|appears|remains)\s+)?(?:possible|likely|suspected|plausible|probable|unconfirmed|risk"
    rf"|potential|possibility)\b|(?:\s+\w+){{0,2}}\s+(?:may|might|could)\b|(?:\s+[\w']+){{0,4}}\s*{_MAYBE}"
)
