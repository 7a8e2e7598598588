# SPDX-License-Identifier: GPL-2.0-or-later
"""mitmproxy doing the job as its users do: placeholders to secrets in heads and bodies of requests, back in those of answers."""
import json
import os

with open(os.environ["PAIRS"]) as f:
    PAIRS = [(fake.encode(), real.encode()) for fake, real in json.load(f)]


def replaced(data, pairs):
    for old, new in pairs:
        if old in data:
            data = data.replace(old, new)
    return data


def rewrite(message, pairs):
    message.headers.fields = tuple((name, replaced(value, pairs)) for name, value in message.headers.fields)
    if message.raw_content:
        message.raw_content = replaced(message.raw_content, pairs)


def request(flow):
    rewrite(flow.request, PAIRS)


def response(flow):
    rewrite(flow.response, [(real, fake) for fake, real in PAIRS])


def responseheaders(flow):
    if "event-stream" in flow.response.headers.get("content-type", ""):
        back = [(real, fake) for fake, real in PAIRS]
        flow.response.stream = lambda data: replaced(data, back)
