"""nginx as a plain reverse proxy with the ten rules: the floor that `--beside nginx` shows."""

from __future__ import annotations

from collections.abc import Sequence

from . import rules
from .proxy import LOOPBACK, Proxy

CONFIG = """\
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
    log_format istio '[$time_iso8601] "$request" $status - via_upstream - "-" $content_length $body_bytes_sent '
                     '$request_time $upstream_response_time "$http_x_forwarded_for" "$http_user_agent" '
                     '"$request_id" "$host" "$upstream_addr" $upstream_pool - $server_addr:$server_port '
                     '$remote_addr:$remote_port - $rule';
    access_log {log} istio buffer=64k flush=1s;
    keepalive_timeout 600s; keepalive_requests 100000000; client_max_body_size 64m;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    proxy_http_version 1.1; proxy_request_buffering off; proxy_max_temp_file_size 0;
    map $request_id $uuid {{
        "~^(?<a>.{{8}})(?<b>.{{4}})(?<c>.{{4}})(?<d>.{{4}})(?<e>.{{12}})$" $a-$b-$c-$d-$e;
    }}
{pools}
    map "$uri;$http_end_user;$http_x_canary;$http_x_tester;$http_x_stage;$http_x_device" $rule {{
{matches}
    }}
    map $rule $upstream_pool {{
{targets}
    }}
    server {{
        listen {address}:{port} default_server backlog=4096;
        server_name {host};
        location / {{
{rewrites}
            proxy_set_header connection ""; proxy_set_header host $http_host; proxy_set_header x-request-id $uuid;
            proxy_set_header x-forwarded-proto http; proxy_set_header x-envoy-attempt-count 1;
            proxy_set_header {request_header};
            add_header x-rule $rule always;
            proxy_pass http://$upstream_pool;
        }}
    }}
{neighbours}
}}
"""

NEIGHBOUR = """\
    server {{
        listen {address}:{port};
        server_name {app};
        set $rule default; set $upstream_pool {app};
        location / {{ proxy_set_header host $http_host; proxy_set_header connection ""; proxy_pass http://{app}; }}
    }}
"""

#: The request headers in the order in which the map's key holds them.
KEYS = ("end-user", "x-canary", "x-tester", "x-stage", "x-device")


class Nginx(Proxy):
    """nginx without Istio's filters, statistics and retries: less work than the other two do."""

    name = "nginx"

    def command(self) -> Sequence[str]:
        pools = dict(rules.SUBSETS)
        pools |= {app: (address,) for app, address in rules.NEIGHBOURS.items()}
        config = self.folder / "nginx.conf"
        config.write_text(
            CONFIG.format(
                folder=self.folder,
                log=self.access_log,
                pools="\n".join(self._pool(name, addresses) for name, addresses in pools.items()),
                matches="\n".join(f"        {pattern(rule)} {rule.name};" for rule in rules.RULES),
                targets="\n".join(f"        {rule.name} {rule.subset};" for rule in rules.RULES),
                rewrites="\n".join(change(rule) for rule in rules.RULES if rule.rewrite or rule.redirect),
                request_header=" ".join(rules.REQUEST_HEADER),
                address=LOOPBACK,
                port=self.port,
                host=rules.HOST,
                neighbours="".join(
                    NEIGHBOUR.format(address=LOOPBACK, port=self.port, app=app) for app in rules.NEIGHBOURS
                ),
            )
        )
        return ["nginx", "-c", str(config)]

    def _pool(self, name: str, addresses: Sequence[str]) -> str:
        servers = " ".join(f"server {address}:{self.upstream_port};" for address in addresses)
        return f"    upstream {name} {{ {servers} least_conn; keepalive 256; keepalive_requests 100000000; }}"


def pattern(rule: rules.Rule) -> str:
    """The rule's conditions as a regular expression over the map's key."""
    wanted = dict(rule.headers)
    values = ";".join(wanted.get(name, "[^;]*") for name in KEYS)
    return f'"~^{rule.prefix or "/"}[^;]*;{values}$"'


def change(rule: rules.Rule) -> str:
    if rule.redirect:
        return f"            if ($rule = {rule.name}) {{ return 301 http://$http_host{rule.redirect}; }}"
    return f"            if ($rule = {rule.name}) {{ rewrite ^{rule.prefix}(.*)$ {rule.rewrite}$1 break; }}"
