"""Where the servers are, who calls them, and how a channel to them is made."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc

# GetEvent and GetSeatMap of the largest house answer below 10 MB; gRPC takes 4 by itself.
_MAX_ANSWER_BYTES = 16 * 1024 * 1024
_SERVICE_CONFIG = Path(__file__).parents[3] / "deploy" / "service-config.json"


@dataclass(frozen=True)
class Settings:
    """How to reach Holdfast; `from_environment` reads the variables named here."""

    target: str = "127.0.0.1:50051"
    """HOLDFAST_TARGET: `dns:///name:port`, or `ipv4:address:port,address:port`."""
    ca_file: Path | None = None
    """HOLDFAST_CLIENT_CA_FILE: who signed the servers' certificate (PEM); with it, TLS."""
    cert_file: Path | None = None
    """HOLDFAST_CLIENT_CERT_FILE: a client certificate (PEM), and its key below."""
    key_file: Path | None = None
    """HOLDFAST_CLIENT_KEY_FILE"""
    token_file: Path | None = None
    """HOLDFAST_CLIENT_TOKEN_FILE: a bearer token, read anew for each call: it may be replaced."""
    server_name: str | None = None
    """HOLDFAST_CLIENT_SERVER_NAME: the name in the certificate, where the target has another."""
    service_config: Path = _SERVICE_CONFIG
    """HOLDFAST_SERVICE_CONFIG: the retry policy."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        def path(name: str) -> Path | None:
            return Path(environment[name]) if environment.get(name) else None

        return cls(
            target=environment.get("HOLDFAST_TARGET") or cls.target,
            ca_file=path("HOLDFAST_CLIENT_CA_FILE"),
            cert_file=path("HOLDFAST_CLIENT_CERT_FILE"),
            key_file=path("HOLDFAST_CLIENT_KEY_FILE"),
            token_file=path("HOLDFAST_CLIENT_TOKEN_FILE"),
            server_name=environment.get("HOLDFAST_CLIENT_SERVER_NAME") or None,
            service_config=path("HOLDFAST_SERVICE_CONFIG") or _SERVICE_CONFIG,
        )


def connect(settings: Settings) -> grpc.Channel:
    """A channel with connections of its own: one to each address of the target.

    Raises ValueError for a client certificate without a CA or a key.
    """
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", settings.service_config.read_text()),
        # Nobody else may say it, by DNS.
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
        # A connection that died without a word is found while something waits on it.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # By itself gRPC waits up to two minutes before it looks for a server again.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    if settings.server_name:
        options.append(("grpc.ssl_target_name_override", settings.server_name))
        options.append(("grpc.default_authority", settings.server_name))
    elif "," in settings.target:
        # gRPC would name the whole list, and no HTTP/2 server takes a comma there.
        options.append(("grpc.default_authority", "holdfast"))
    credentials = _credentials(settings)
    if credentials is None:
        return grpc.insecure_channel(settings.target, options=options)
    return grpc.secure_channel(settings.target, credentials, options=options)


def _credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    def read(path: Path | None) -> bytes | None:
        return path.read_bytes() if path else None

    if bool(settings.cert_file) != bool(settings.key_file):
        raise ValueError("a client certificate and its key go together")
    if settings.ca_file:
        channel = grpc.ssl_channel_credentials(
            root_certificates=read(settings.ca_file),
            private_key=read(settings.key_file),
            certificate_chain=read(settings.cert_file),
        )
    elif settings.cert_file:
        raise ValueError("a client certificate is for TLS: name a CA, too")
    elif settings.token_file:
        # Without TLS a token goes to this machine only: these refuse any other.
        channel = grpc.local_channel_credentials(grpc.LocalConnectionType.LOCAL_TCP)
    else:
        return None
    if settings.token_file is None:
        return channel
    bearer = grpc.metadata_call_credentials(_Bearer(settings.token_file))
    return grpc.composite_channel_credentials(channel, bearer)


class _Bearer(grpc.AuthMetadataPlugin):
    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(
        self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback
    ) -> None:
        try:
            token = self._file.read_text().strip()
        except OSError as error:
            callback((), error)
        else:
            callback((("authorization", f"Bearer {token}"),), None)
