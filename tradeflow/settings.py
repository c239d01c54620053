"""Settings: the environment (or `.env`), typed and checked once at start.  The only module that reads it."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import parse_qs, urlsplit

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from tradeflow.cluster.settings import KafkaSettings
from tradeflow.masking import masked
from tradeflow.symbols import canonical_symbol

EXCHANGES = ("binance", "bitmex", "coinbase", "kraken")
ENV_FILE = ".env"

MIN_TOKEN = 16
"""Characters."""

SCHEMES = {"rest": ("http://", "https://"), "ws": ("ws://", "wss://")}

REDIS_OPTIONS = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
"""What REDIS_URL may say after its `?`: paths of PEM files."""

CORRECT_IT = "Correct it in the environment or in .env and start again."

CommaList = Annotated[list[str], NoDecode]


class SettingsError(ValueError):
    """A setting is unusable; the message names the variable, the value and what is allowed."""


class Settings(KafkaSettings):
    """One field a setting; `TRADEFLOW_` is the prefix of all that have no name of their own."""

    model_config = SettingsConfigDict(
        env_prefix="TRADEFLOW_",
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        extra="ignore",
        populate_by_name=True,
        frozen=True,
        hide_input_in_errors=True,
    )

    exchanges: CommaList = Field(
        list(EXCHANGES),
        validation_alias="EXCHANGES",
        description="Exchanges to run feeds for, comma separated.",
    )
    symbols: CommaList = Field(
        [],
        validation_alias="SYMBOLS",
        description="Symbols to serve (`BTC-USDT`, `BTC/USDT` or `BTCUSDT`), comma separated; empty = all in the maps.",
    )
    order_book_depth: int = Field(
        20,
        ge=1,
        le=20,
        validation_alias="ORDER_BOOK_DEPTH",
        description="Levels a side that are published and served by default; subscriptions stay full.",
    )
    strategies: CommaList = Field(
        ["imbalance", "arbitrage"],
        validation_alias="STRATEGIES",
        description="Strategies to run: names of shipped ones or `module:Class` of your own, comma separated.",
    )
    strategies_file: Path | None = Field(
        None,
        description="Parameters of the strategies; default: `strategies.toml` in the directory of the start, if there.",
    )
    risk_file: Path | None = Field(
        None,
        description="Limits of the risk gate; default: `risk.toml` in the directory of the start, if there.",
    )
    fees_file: Path | None = Field(
        None,
        description="Fees of the exchanges; default: `fees.toml` in the directory of the start, if there.",
    )
    balances_file: Path | None = Field(
        None,
        description="What the paper exchanges hold at the beginning; default: `balances.toml` in the directory of the"
        " start, if there.",
    )
    paper_latency: float = Field(
        0.05,
        ge=0,
        le=60,
        description="Seconds of event time from here to a paper exchange, and as many back.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO",
        validation_alias="LOG_LEVEL",
        description="Log level of `tradeflow worker`; `-l` on the command line wins, and is all that `faust` has.",
    )
    traceback: bool = Field(
        False, description="Show tracebacks of the command line's errors, as `--debug` does."
    )
    binance_testnet: bool = Field(
        False, validation_alias="BINANCE_TESTNET", description="Use Binance's testnet endpoints."
    )
    binance_api_key: SecretStr | None = Field(
        None,
        validation_alias="BINANCE_API_KEY",
        description="Optional; market data needs none. Masked everywhere.",
    )
    binance_secret_key: SecretStr | None = Field(
        None,
        validation_alias="BINANCE_SECRET_KEY",
        description="Optional; market data needs none. Masked everywhere.",
    )

    redis_url: SecretStr | None = Field(
        None,
        validation_alias="REDIS_URL",
        description="Redis that has the top of every book for readers outside: `redis://` or, over TLS, `rediss://`,"
        " then `user:password@host:port/database`; unset = none. Masked everywhere.",
    )
    redis_updates_per_second: float = Field(
        20.0, gt=0, le=100, description="At most this many updates a second of each book in Redis."
    )
    redis_lifetime: float = Field(
        5.0,
        ge=1,
        le=3600,
        description="Seconds after which a book that no worker writes any more is gone from Redis.",
    )

    strategy_budget: float = Field(
        0.05,
        gt=0,
        description="Seconds that a strategy's handler may take a call, on average of the last 20 with the longest "
        "left out. Who takes longer makes books late, and is halted.",
    )
    role: Literal["all", "feeds", "strategies"] = Field(
        "all",
        description="What this worker does; each role but `all` is an app id (consumer group) of its own.",
    )
    app_id: str = Field(
        "tradeflow", description="Faust app id: prefix of the consumer group and of changelog topics."
    )
    data_dir: Path = Field(
        Path("tradeflow-data"), description="Local state (RocksDB); one directory a worker."
    )
    cache_dir: Path | None = Field(
        None,
        description="Where the embedded Kafka's jars are kept; default: the system's place for a user's caches.",
    )
    maven_url: str | None = Field(
        None,
        description="Maven repository to fetch the embedded Kafka's jars from instead of the public one.",
    )
    partition_maps: Path | None = Field(
        None, description="Directory of the partition maps; default ./partition_maps, then the packaged ones."
    )
    web_host: str = Field("127.0.0.1", description="Address that the web views listen on.")
    web_port: int = Field(6066, ge=1, le=65535, description="Port of the web views.")
    web_advertised_host: str = Field(
        "", description="Host by which the other workers reach this one; default: web_host."
    )
    stream_clients: int = Field(
        100, ge=0, le=10_000, description="Readers of `/stream`, dashboards among them, at the same time."
    )
    stream_updates_per_second: float = Field(
        4.0, gt=0, le=20, description="At most this many updates a second of each book in `/stream`."
    )
    token: SecretStr | None = Field(
        None, description="Token for requests that change state; unset = such requests are refused."
    )

    commit_interval: float = Field(
        1.0,
        gt=0,
        le=60,
        description="Seconds between checkpoints; more where they would take over a fifth of a core.",
    )
    session_timeout: float = Field(
        10.0,
        ge=1,
        le=300,
        description="Seconds without a sign of life after which Kafka gives a worker's partitions to others.",
    )
    max_jump_pct: float = Field(
        50.0,
        ge=0,
        description="Percent of its mid by which a single update may move a book. Beyond it the book is broken until"
        " its exchange has sent it anew; 0 = believe anything.",
    )
    check_ticks: bool = Field(
        True,
        description="Break a book in which a price isn't a multiple of its instrument's tick size, and take it anew.",
    )
    silence_timeout: float = Field(
        5.0,
        gt=0,
        description="Seconds without a sign of life of a book's connection (a frame of any symbol, or the exchange's"
        " heartbeat) after which it is stale. Raise it where a connection carries thinly traded symbols alone.",
    )
    heartbeat_interval: float = Field(
        1.0, gt=0, description="Seconds between a feed's heartbeats for a quiet book."
    )
    normalized_books_per_second: float = Field(
        10.0, gt=0, description="At most this many records a second and book in `normalized-books`."
    )
    keyframe_interval: float = Field(
        60.0,
        ge=1,
        description="Seconds of event time between two records of a book in `keyframes`: how much of the log has to be"
        " read to rebuild an earlier moment.",
    )
    feed_buffer_bytes: int = Field(
        64 * 1024 * 1024,
        ge=1024 * 1024,
        description="Bytes that feeds may hold while Kafka is away; beyond that books are marked and resync.",
    )
    kraken_depth: Literal[10, 25, 100, 500, 1000] = Field(
        1000, description="Depth of Kraken's book subscription."
    )

    kraken_checksum_every: int = Field(
        1,
        ge=1,
        description="Verify the checksum of every so many updates of a Kraken book; of its snapshots always.",
    )

    binance_rest_url: str | None = Field(None, description="Binance REST endpoint instead of the public one.")
    binance_ws_url: str | None = Field(None, description="Binance WebSocket endpoint.")
    coinbase_rest_url: str | None = Field(None, description="Coinbase REST endpoint.")
    coinbase_ws_url: str | None = Field(None, description="Coinbase WebSocket endpoint.")
    kraken_rest_url: str | None = Field(None, description="Kraken REST endpoint.")
    kraken_ws_url: str | None = Field(None, description="Kraken WebSocket v2 endpoint.")
    bitmex_rest_url: str | None = Field(None, description="BitMEX REST endpoint.")
    bitmex_ws_url: str | None = Field(None, description="BitMEX WebSocket endpoint.")

    @field_validator("exchanges", "symbols", "strategies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("exchanges")
    @classmethod
    def _lower(cls, value: list[str]) -> list[str]:
        return list(dict.fromkeys(name.lower() for name in value))

    @field_validator("symbols")
    @classmethod
    def _canonical(cls, value: list[str]) -> list[str]:
        return list(dict.fromkeys(canonical_symbol(symbol) for symbol in value))

    @field_validator(
        "cache_dir",
        "maven_url",
        "partition_maps",
        "strategies_file",
        "risk_file",
        "fees_file",
        "balances_file",
        "token",
        "redis_url",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("*")
    @classmethod
    def _endpoints(cls, value: Any, info: ValidationInfo) -> Any:
        kind = re.search("_(rest|ws)_url$", info.field_name or "")
        if kind and value:
            _check_endpoint(value, kind[1])
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            _check_redis(value.get_secret_value())
        return value

    @field_validator("token")
    @classmethod
    def _hard_to_guess(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not re.fullmatch(f"[!-~]{{{MIN_TOKEN},}}", value.get_secret_value()):
            raise ValueError(
                f"at least {MIN_TOKEN} visible ASCII characters are needed: `openssl rand -hex 32`"
            )
        return value

    @field_validator("heartbeat_interval")
    @classmethod
    def _quiet_books_stay_live(cls, value: float, info: ValidationInfo) -> float:
        silence = info.data.get("silence_timeout", value + 1)
        if value >= silence:
            raise ValueError(f"must be below TRADEFLOW_SILENCE_TIMEOUT={silence}, or quiet books go stale")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    def endpoint(self, exchange: str, kind: Literal["rest", "ws"]) -> str | None:
        """The configured endpoint of an exchange, without a trailing slash; None = the exchange's public one.

        Any exchange has these settings, of `kraken-v1` e.g. TRADEFLOW_KRAKEN_V1_WS_URL.  Raises SettingsError for
        one that isn't a URL of its kind."""
        field = f"{exchange}_{kind}_url".replace("-", "_")
        if field in Settings.model_fields:
            url: str | None = getattr(self, field)
        else:
            variable = f"TRADEFLOW_{field.upper()}"
            url = _variable(variable)
            try:
                _check_endpoint(url or "", kind)
            except ValueError as error:
                raise SettingsError(_refusal(variable, _shown(url), str(error))) from None
        return url.rstrip("/") if url else None


def _check_endpoint(url: str, kind: str) -> None:
    if url and not url.startswith(SCHEMES[kind]):
        raise ValueError(f"must begin with {' or '.join(SCHEMES[kind])}")
    if "@" in urlsplit(url).netloc:
        raise ValueError("must not hold a user or password: `/feeds` and the log show it")


def _check_redis(url: str) -> None:
    """Raises ValueError, which shows nothing of the URL: a password may be anywhere in one that can't be read."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("redis", "rediss") or not re.fullmatch(r"/?\d*", parts.path):
        raise ValueError(
            "must be redis://user:password@host:port/database, or rediss:// (user, password, port and database may be"
            " left out; in them `/`, `?`, `#`, `@`, `%` are written as %2F, %3F, %23, %40, %25)"
        )
    if parse_qs(parts.query).keys() - REDIS_OPTIONS or parts.fragment:
        raise ValueError(f"after `?` only {', '.join(sorted(REDIS_OPTIONS))} may be given")


def _refusal(name: str, value: str, reason: str) -> str:
    return f"{name}={value}: {reason}. {CORRECT_IT}"


def _shown(value: Any) -> str:
    text = repr(value)
    return "***" if "@" in text and "://" not in text else masked(text)


def _named(place: str) -> tuple[str, bool]:
    """The environment variable that pydantic calls so, and whether its value is a secret."""
    for field, info in Settings.model_fields.items():
        if place in (field, environment_name(field)):
            return environment_name(field), SecretStr in (info.annotation, *get_args(info.annotation))
    return place, True


def _variable(name: str) -> str | None:
    """A variable that is no field, from where the fields come from."""
    return os.environ.get(name) or dotenv_values(ENV_FILE).get(name)


def environment_name(field: str) -> str:
    """The environment variable of a field, as documented."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return str(alias) if alias else f"TRADEFLOW_{field.upper()}"


def _names(field: str) -> set[str]:
    """Every environment variable that sets a field, in capitals."""
    alias = Settings.model_fields[field].validation_alias
    aliases = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return {f"TRADEFLOW_{field}".upper(), *(str(name).upper() for name in aliases if name)}


def _given() -> dict[str, str]:
    """Every variable that is given, in capitals, and where: `environment` or `.env`."""
    return {name.upper(): ENV_FILE for name in dotenv_values(ENV_FILE)} | {
        name.upper(): "environment" for name in os.environ
    }


def sources() -> dict[str, str]:
    """Field → where its value comes from: `environment`, `.env` or `default`."""
    given = _given()
    places = {
        field: {given[name] for name in _names(field) & given.keys()} for field in Settings.model_fields
    }
    return {
        field: next((place for place in ("environment", ENV_FILE) if place in found), "default")
        for field, found in places.items()
    }


def unknown_variables() -> dict[str, str]:
    """Variables that look like settings and are none → where they are."""
    known = {name for field in Settings.model_fields for name in _names(field)}
    others = re.compile(r"TRADEFLOW_(FAUST_\w+|\w+_(REST|WS)_URL|SIMULATOR_URL)").fullmatch
    return {
        name: place
        for name, place in sorted(_given().items())
        if name.startswith("TRADEFLOW_") and name not in known and not others(name)
    }


def known_variables() -> list[str]:
    return [environment_name(field) for field in Settings.model_fields]


def load_settings(**overrides: Any) -> Settings:
    """Read and check the settings.

    Raises SettingsError with one line a bad setting: variable, value, what is allowed."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            reason = item["msg"].removeprefix("Value error, ")
            if item["loc"]:
                name, secret = _named(str(item["loc"][0]))
                lines.append(_refusal(name, "***" if secret else _shown(item["input"]), reason))
            else:  # of several settings together, which it names; its input is all of them, secrets included
                lines.append(f"{reason}. {CORRECT_IT}")
        raise SettingsError("\n".join(lines)) from None


@functools.cache
def settings() -> Settings:
    """The process's settings, read once."""
    return load_settings()
