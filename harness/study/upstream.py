"""From the times of requests and of questions to what is said of a relay's upstream. Pure: no process, socket or clock."""

import numpy as np
import numpy.typing as npt

from harness.drive.journal import Columns, QuestionColumns
from harness.drive.orders import LoadOutcome
from harness.record import UpstreamUse
from harness.study.window import distribution


def upstream_use(outcome: LoadOutcome, times: Columns, questions: QuestionColumns) -> UpstreamUse:
    """Work out what a relay asked in the window, and what of its responses is its own.

    Each client asks lists of its own, one after the other: its first question belongs to its first request.

    Args:
        outcome: of the turn.
        times: of all its requests.
        questions: all that were answered in it.
    """
    begin, end = outcome.begin, outcome.end
    begin_ns, end_ns = begin.at_ns, end.at_ns
    of_clients = questions.where(questions.client >= 0)
    pairs, strays = matched(times, of_clients)
    sent_ns, asked_ns, due_ns, answered_ns, received_ns = pairs
    strays += len(questions.asked_ns) - len(of_clients.asked_ns)
    in_window = (received_ns >= begin_ns) & (received_ns < end_ns)
    asking_ns = (asked_ns - sent_ns)[in_window]
    returning_ns = (received_ns - answered_ns)[in_window]
    ones = np.ones(len(asking_ns), dtype=np.int64)
    prompt_ns = (received_ns - sent_ns)[in_window & (due_ns == asked_ns)]
    due = (questions.answered_ns >= begin_ns) & (questions.answered_ns < end_ns)
    late_ns = (questions.answered_ns - questions.due_ns)[due]
    shared_ns = np.minimum(questions.answered_ns, end_ns) - np.maximum(questions.asked_ns, begin_ns)
    return UpstreamUse(
        asked=int(((questions.asked_ns >= begin_ns) & (questions.asked_ns < end_ns)).sum()),
        under_way_ns=int(np.maximum(shared_ns, 0).sum()),
        integral_ns=end.under_way_ns - begin.under_way_ns,
        most=outcome.most_under_way,
        strays=strays,
        late=distribution(late_ns, np.ones(len(late_ns), dtype=np.int64)),
        asking=distribution(asking_ns, ones),
        returning=distribution(returning_ns, ones),
        own=distribution(asking_ns + returning_ns, ones),
        prompt=distribution(prompt_ns, np.ones(len(prompt_ns), dtype=np.int64)),
    )


def matched(times: Columns, questions: QuestionColumns) -> tuple[npt.NDArray[np.int64], int]:
    """Return sent, asked, due, answered and received of each request that asked one question, and how many are left over.

    A client that has not asked as often as it was answered has no pairs at all: nobody knows which question was whose.
    """
    most = int(max(np.max(times.client, initial=-1), np.max(questions.client, initial=-1))) + 1
    requests_of = np.bincount(times.client, minlength=most)
    questions_of = np.bincount(questions.client, minlength=most)
    agreed = requests_of == questions_of
    left_over = int(np.maximum(requests_of, questions_of)[~agreed].sum())
    requests = times.where(agreed[times.client])
    asked = questions.where(agreed[questions.client])
    by_request = np.lexsort((requests.sent_ns, requests.client))
    by_question = np.lexsort((asked.asked_ns, asked.client))
    pairs = np.array(
        [
            requests.sent_ns[by_request],
            asked.asked_ns[by_question],
            asked.due_ns[by_question],
            asked.answered_ns[by_question],
            requests.received_ns[by_request],
        ]
    )
    in_order = (np.diff(pairs, axis=0) >= 0).all(axis=0)
    return pairs[:, in_order], left_over + int((~in_order).sum())
