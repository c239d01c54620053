"""The whole examination, in the order in which one thing needs another."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tradeflow.doctor import machine
from tradeflow.doctor.broker import kafka
from tradeflow.doctor.configuration import read_files, read_settings
from tradeflow.doctor.finding import Finding


async def examine() -> AsyncIterator[Finding]:
    """Every finding, as soon as it is there.  Nothing is changed but a topic that is made for a moment."""
    yield machine.python()
    yield machine.packages()
    config, found = read_settings()
    for finding in found:
        yield finding
    if config is None:
        return
    yield machine.java(config)
    plan, found = read_files(config)
    for finding in found:
        yield finding
    for finding in machine.data_directory(config):
        yield finding
    yield machine.web_port(config)
    if advertised := machine.advertised(config):
        yield advertised
    async for finding in kafka(config, plan):
        yield finding
