"""MiniStack with a clock of its own for those who call Kinesis, except the account's root: to it, their clocks are behind."""

import datetime
import os

from ministack.app import app
from ministack.core import sigv4

__all__ = ["app"]

AHEAD = datetime.timedelta(seconds=int(os.environ["CLOCK_AHEAD_SECONDS"]))

check = sigv4.request_time_failure


def check_ahead(signature, *, now=None):
    now = now or datetime.datetime.now(datetime.timezone.utc)
    if signature.service == "kinesis" and signature.access_key_id != "test":
        now += AHEAD
    return check(signature, now=now)


sigv4.request_time_failure = check_ahead
