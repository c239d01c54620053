"""How a verb ends: its exit code, and an error as one message that says what to do next."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

FAILED = 1
"""It could not be done, or something was found that should not be so."""
MISUSED = 2
"""The command line, a setting, a map or a file of settings is wrong."""
NO_ANSWER = 3
"""Kafka, or a worker, does not answer: it may be worth trying again."""
INTERRUPTED = 130

EXIT_CODES = {
    0: "done, and nothing was found",
    FAILED: "it could not be done, or something was found that should not be so",
    MISUSED: "the command line, a setting, a partition map or a file of settings is wrong",
    NO_ANSWER: "Kafka, or a worker, doesn't answer: it may be worth trying again",
    INTERRUPTED: "Ctrl-C, of a verb that ends by itself",
}

DEBUG = "tradeflow.debug"
"""Key of a click context's `meta`: whether errors show their traceback."""


class Misused(click.ClickException):
    exit_code = MISUSED


class NoAnswer(click.ClickException):
    exit_code = NO_ANSWER


@contextlib.contextmanager
def told(context: click.Context) -> Iterator[None]:
    """Within it an error ends the verb with its words and exit code; with --debug or TRADEFLOW_TRACEBACK as it is."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        context.exit(INTERRUPTED)
    except Exception as error:
        if context.meta.get(DEBUG) or _asked_for():
            raise
        raise in_words(error) from None


def in_words(error: Exception) -> click.ClickException:
    """The error as an operator is told it.  Its classes are imported here only: most of them are slow to import."""
    from aiokafka import errors as kafka_client

    from tradeflow.cluster.reader import NoTopicError
    from tradeflow.cluster.security import NotLetIn
    from tradeflow.demo.child import ChildFailed
    from tradeflow.history.explain import UnknownOrder
    from tradeflow.kafka import KafkaError
    from tradeflow.partitions import PartitionMapError
    from tradeflow.ports import ListenError
    from tradeflow.recording.form import NotRecordable, RecordingError
    from tradeflow.settings import SettingsError
    from tradeflow.strategies import StrategyError
    from tradeflow.times import TimeError
    from tradeflow.topics import TopicError
    from tradeflow.worker.agreement import DisagreementError
    from tradeflow.worker.letters import NoTopic
    from tradeflow.worker.operators import WordError

    match error:
        case (
            TimeError()
            | SettingsError()
            | PartitionMapError()
            | StrategyError()
            | WordError()
            | NotRecordable()
            | NotLetIn()
        ):
            return Misused(str(error))
        case kafka_client.KafkaError():
            return _no_kafka(error)
        case UnknownOrder():
            return click.ClickException(f"{error}; `/orders` of a worker lists the last ones")
        case (
            RecordingError()
            | NoTopicError()
            | NoTopic()
            | TopicError()
            | DisagreementError()
            | ListenError()
            | KafkaError()
            | ChildFailed()
        ):
            return click.ClickException(str(error))
        case ConnectionError() | TimeoutError():
            return _no_kafka(error)
        case ImportError():  # of the app that -A names
            return Misused(f"{error}: correct -A, or run in the directory that holds it")
        case OSError() if error.filename:
            return click.ClickException(
                f"{error.filename}: {error.strerror}; name a file or directory that is there and yours"
            )
    return click.ClickException(
        f"{type(error).__name__}: {error}. Nobody foresaw that: `tradeflow --debug` and the same verb shows where it"
        " happened; please report it"
    )


def _no_kafka(error: Exception) -> click.ClickException:
    import asyncio

    from tradeflow.cluster.security import NotLetIn, client_options, why_not
    from tradeflow.settings import load_settings

    options = client_options(load_settings())
    reason = asyncio.run(why_not(options)) or error  # the client has only logged what it was
    if isinstance(reason, NotLetIn):
        return Misused(str(reason))
    return NoAnswer(
        f"no answer of Kafka at {options['bootstrap_servers']} ({reason!r}): start it (`tradeflow kafka` runs one on"
        " this machine), or correct KAFKA_BROKERS"
    )


def _asked_for() -> bool:
    from tradeflow.settings import SettingsError, load_settings

    with contextlib.suppress(SettingsError):
        config = load_settings()
        return config.traceback
    return False
