"""The connection to an API server: its address and credentials by the official client, its answers as plain bytes.

The client's generated models are left aside: they are large and slow, and a watch does not fit them. What remains is
what is hard to do well: kubeconfig with its many ways to log in, in-cluster tokens, TLS, proxies."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from ... import __version__
from ...config.yaml import YAMLError
from .aioclient import (
    SERVICE_CERT_FILENAME,
    SERVICE_TOKEN_FILENAME,
    ApiClient,
    ConfigException,
    Configuration,
    InClusterConfigLoader,
    KubeConfigLoader,
    load_kube_config,
    load_kube_config_from_dict,
)
from .api import ApiError, Query
from .kubeconfig import KubeconfigError, check_form, read_kubeconfig
from .watch import ApiFormatError, read_status

#: The largest body that is read as a whole: a list of 100,000 pods from a server that does not cut lists into chunks.
MAX_BODY = 512 * 2**20

#: Seconds for a connection to be made, and for a whole answer that is not a watch.
CONNECT_TIMEOUT = 10.0
ANSWER_TIMEOUT = 120.0

#: Who we are where fields have owners, and the types of what is applied and of what is merged (RFC 7396).
FIELD_MANAGER = "nodemesh"
APPLY = "application/apply-patch+yaml"  # JSON is YAML
MERGE = "application/merge-patch+json"

#: A connection whose other end is silent for about a minute is dead (client-go's HTTP/2 pings: 30 s and 15 s).
KEEPALIVE = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 3}

#: Reads the credentials again.
Login = Callable[[], Awaitable[Configuration]]


class LoginError(Exception):
    """There is no way to the API server; the message is one sentence with its mend."""


async def from_kubeconfig(path: str, context: str = "") -> Configuration:
    """The file's current context (or another). Tokens of exec plugins are renewed when they expire. Raises
    LoginError."""
    if not Path(path).expanduser().is_file():
        raise LoginError(f"{path} does not exist; give --kubeconfig the file that `kubectl config view` shows")
    configuration = Configuration()
    try:
        check_form(Path(path).expanduser().read_bytes(), path)
        loader = await load_kube_config(
            config_file=path, context=context or None, client_configuration=configuration, persist_config=False
        )
    except (KubeconfigError, ConfigException, OSError, KeyError, TypeError, ValueError, YAMLError) as error:
        raise LoginError(f"{path} is not a usable kubeconfig: {' '.join(str(error).split())}") from None
    if hasattr(loader, "exec_plugin_expiry"):
        configuration.refresh_api_key_hook = renewing(loader)  # type: ignore[assignment]
    return configuration


async def from_kubeconfig_text(data: bytes) -> Configuration:
    """A kubeconfig that came in a Secret. Raises LoginError; what it says holds nothing of the text."""
    try:
        plain = read_kubeconfig(data)
    except KubeconfigError as error:
        raise LoginError(str(error)) from None
    configuration = Configuration()
    try:
        await load_kube_config_from_dict(config_dict=plain, client_configuration=configuration)
    except ConfigException as error:
        raise LoginError(f"the kubeconfig cannot be used: {error}") from None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise LoginError(f"the kubeconfig cannot be used ({type(error).__name__})") from None
    return configuration


def renewing(loader: KubeConfigLoader) -> Callable[[Configuration], Awaitable[None]]:
    """Runs the exec plugin again when its token is about to expire; called before every request."""

    async def renew(configuration: Configuration) -> None:
        await loader.load_from_exec_plugin()
        configuration.api_key["BearerToken"] = loader.token

    return renew


async def in_cluster(
    token: str = SERVICE_TOKEN_FILENAME, certificate: str = SERVICE_CERT_FILENAME, environment: Any = os.environ
) -> Configuration:
    """The pod's service account; its token is read again every minute, since the kubelet rotates it. Raises
    LoginError."""
    configuration = Configuration()
    try:
        InClusterConfigLoader(token, certificate, environ=environment).load_and_set(configuration)
    except ConfigException as error:
        raise LoginError(f"this is no pod of a cluster ({error}); name a kubeconfig with --kubeconfig") from None
    return configuration


def login_at(login: Login, server: str, authority: str) -> Login:
    """The same account at another server, whose certificate the file `authority` vouches for (empty: the system's)."""

    async def elsewhere() -> Configuration:
        configuration = await login()
        configuration.host = server.rstrip("/")
        configuration.ssl_ca_cert = authority or None
        configuration.cert_file = configuration.key_file = None
        return configuration

    return elsewhere


def login_by(kubeconfig: str) -> Login:
    """By a kubeconfig, or as the pod that this is where none is named."""

    async def login() -> Configuration:
        return await (from_kubeconfig(kubeconfig) if kubeconfig else in_cluster())

    return login


class WebSocket:
    """A WebSocket to something in the cluster: messages of bytes both ways."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, data: bytes) -> None:
        await self._socket.send_bytes(data)

    async def messages(self) -> AsyncIterator[bytes]:
        """Until the other end closes."""
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                yield message.data


class ApiServer:
    """An Api. Credentials that the server does not take (any more) are read again, and where they have changed, the
    request is made again at once."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._client: ApiClient | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def get(self, path: str, query: Query, accept: str) -> bytes:
        async with self._request("GET", path, query, accept, ANSWER_TIMEOUT) as response:
            return await body_of(response)

    async def send(self, method: str, path: str, body: msgspec.Raw) -> bytes:
        async with self._request(method, path, {}, "application/json", ANSWER_TIMEOUT, body) as response:
            return await body_of(response)

    async def apply(self, path: str, body: msgspec.Raw) -> bytes:
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        async with self._request("PATCH", path, query, "application/json", ANSWER_TIMEOUT, body, APPLY) as response:
            return await body_of(response)

    async def merge(self, path: str, body: msgspec.Raw) -> bytes:
        """Change the fields of an object that `body` has. Raises ApiError."""
        query = {"fieldManager": FIELD_MANAGER}
        async with self._request("PATCH", path, query, "application/json", ANSWER_TIMEOUT, body, MERGE) as response:
            return await body_of(response)

    @asynccontextmanager
    async def stream(self, path: str, query: Query, accept: str, seconds: float) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._request("GET", path, query, accept, seconds) as response:
            yield response.content.iter_any()

    @asynccontextmanager
    async def channel(self, path: str, query: Query, protocol: str) -> AsyncIterator[WebSocket]:
        """A WebSocket of one of the server's subresources, that speaks this protocol. Raises ApiError."""
        try:
            client = await self._logged_in()
            _, url, headers, _, _ = await client.param_serialize(
                "GET", path, query_params=list(query.items()), auth_settings=["BearerToken"]
            )
            rest = client.rest_client
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=rest.ssl_context), trust_env=True) as session,
                session.ws_connect(url, protocols=(protocol,), headers=headers, proxy=rest.proxy) as socket,
            ):
                yield WebSocket(socket)
        except aiohttp.WSServerHandshakeError as error:
            raise ApiError(error.status, f"the API server answers {error.status}: {error.message}") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ApiError(0, f"the API server does not answer: {error or type(error).__name__}") from None
        except LoginError as error:
            raise ApiError(0, str(error)) from None

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        query: Query,
        accept: str,
        seconds: float,
        body: msgspec.Raw | None = None,
        form: str = "",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A good answer's head, with the body still to be read. Raises ApiError, also for what goes wrong meanwhile."""
        try:
            client = await self._logged_in()
            response = await self._ask(client, method, path, query, accept, seconds, body, form)
            if response.status == 401 and await self._renewed(client):
                response.close()
                response = await self._ask(await self._logged_in(), method, path, query, accept, seconds, body, form)
            try:
                if response.status >= 300:
                    await refused(response)
                keep_alive(response)
                yield response
            finally:
                response.close() if not response.content.at_eof() else response.release()
        except ssl.SSLError as error:
            await self.close()  # the authority may have changed
            raise ApiError(0, f"the API server's certificate is not good: {error}") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if isinstance(error, aiohttp.ClientSSLError):
                await self.close()
            raise ApiError(0, f"the API server does not answer: {error or type(error).__name__}") from None
        except LoginError as error:
            raise ApiError(0, str(error)) from None

    async def _logged_in(self) -> ApiClient:
        if self._client is None:
            configuration = await self._login()
            if self._client is None:  # another request may have been faster
                configuration.connection_pool_maxsize = 0  # no bound of its own: every watch holds a connection
                # Python 3.13 checks certificates by RFC 5280's letter, which authorities of running clusters do not
                # keep to and kubectl does not ask for.
                configuration.disable_strict_ssl_verification = True
                self._client = ApiClient(configuration)
                self._client.user_agent = f"nodemesh/{__version__}"
        return self._client

    @staticmethod
    async def _ask(
        client: ApiClient,
        method: str,
        path: str,
        query: Query,
        accept: str,
        seconds: float,
        body: msgspec.Raw | None,
        form: str,
    ) -> aiohttp.ClientResponse:
        _, url, headers, _, _ = await client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": accept},
            auth_settings=["BearerToken"],
        )
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_TIMEOUT)
        plain: Any = msgspec.json.decode(body) if body is not None else None
        if form:
            headers["Content-Type"] = form
        answer = await client.rest_client.request(method, url, headers=headers, body=plain, _request_timeout=timeout)
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _renewed(self, client: ApiClient) -> bool:
        """Read the credentials again; whether they are others than this client's were. Other requests go on with the
        same connections unless a certificate counts."""
        used = client.configuration
        if self._client is not client:
            return True  # another request was faster
        before, fresh = used.api_key, await self._login()
        if fresh.cert_file or fresh.host != used.host:
            await self.close()
        used.api_key, used.refresh_api_key_hook = fresh.api_key, fresh.refresh_api_key_hook
        return fresh.api_key != before or self._client is None


async def refused(response: aiohttp.ClientResponse) -> None:
    """Raises the ApiError that an answer is."""
    body = await response.content.read(65536)
    try:
        status = read_status(body)
        message, reason = status.message, status.reason
    except ApiFormatError:
        message, reason = body[:200].decode("utf-8", "replace"), ""
    after = response.headers.get("Retry-After", "")
    raise ApiError(
        response.status,
        f"the API server answers {response.status}: {message or response.reason}",
        reason,
        float(after) if after.isdigit() else 0.0,
    )


async def body_of(response: aiohttp.ClientResponse) -> bytes:
    """Raises ApiError where there is more than MAX_BODY of it."""
    parts, size = [], 0
    async for piece in response.content.iter_any():
        parts.append(piece)
        size += len(piece)
        if size > MAX_BODY:
            raise ApiError(0, f"the API server's answer is longer than {MAX_BODY} bytes")
    return b"".join(parts)


def keep_alive(response: aiohttp.ClientResponse) -> None:
    """Let the kernel find out that the server's host is gone, which a quiet watch would not notice."""
    connection = response.connection
    sock = connection.transport.get_extra_info("socket") if connection and connection.transport else None
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE.items():
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
