"""`nodemesh run`: the node."""

from __future__ import annotations

import sys

import click

from .output import CommandError

#: Where agents listen for each other, and where the kubelet puts their tokens (manifests/agent/).
PEERS_PORT = 15002
PEERS_TOKEN = "/var/run/secrets/nodemesh/token"


@click.command()
@click.option("--config", "config", multiple=True, metavar="PATH", help="File or folder of YAML; reloaded on change.")
@click.option("--keep-going", is_flag=True, help="Start although files are broken (always with --kubernetes).")
@click.option("--kubernetes", is_flag=True, help="Follow the cluster whose API server is at hand.")
@click.option("--kubeconfig", default="", metavar="FILE", help="How to reach it (default: the pod's service account).")
@click.option("--state-dir", default="", metavar="DIR", help="Where the cluster's last good state is kept.")
@click.option("--cluster", default="", metavar="NAME", help="This cluster's name, where there are several.")
@click.option("--remote", multiple=True, metavar="NAME=FILE", help="Another cluster of the mesh, by its kubeconfig.")
@click.option("--remote-secrets", is_flag=True, help="And those that Istio's remote Secrets in this namespace name.")
@click.option("--node", default="", metavar="NAME", help="This node's name (default: the host's).")
@click.option(
    "--expose", multiple=True, metavar="HOST:PORT=ADDR", help="Listen at ADDR for what is meant for HOST:PORT."
)
@click.option(
    "--as", "client", default="", metavar="NS/POD", help="Who speaks through --expose, or who the gateway is."
)
@click.option("--gateway", default="", metavar="K=V,...", help="Serve as the gateway workload with these labels.")
@click.option("--gateway-image", default="", metavar="IMAGE", help="Deploy this for each Gateway of our class.")
@click.option(
    "--gateway-listen",
    multiple=True,
    metavar="PORT=ADDR|ADDR",
    help="Listen at ADDR for the Gateways' PORT; without one, for all of theirs.",
)
@click.option("--admin", default="127.0.0.1:15000", metavar="ADDR", show_default=True, help="The admin API.")
@click.option(
    "--peers", default="", metavar="ADDR", help="Where other nodes' agents ask; and ask them, for the whole mesh."
)
@click.option("--peers-token", default=PEERS_TOKEN, metavar="FILE", help="The token that shows them who asks.")
@click.option("--workers", type=click.IntRange(0, 256), default=0, help="Worker processes (default: one per core).")
@click.option("--ebpf", type=click.Choice(["auto", "off", "require"]), default="auto", show_default=True)
@click.option("--access-log", default="", metavar="FILE", help="Where requests are logged; - is standard output.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of the agent's own log, on standard error.",
)
@click.option("--grace", type=click.FloatRange(0, 3600), default=10.0, show_default=True, help="Seconds to drain.")
@click.option(
    "--worker-limit",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="Seconds without a sign of life after which a worker is replaced; 0: never.",
)
@click.option(
    "--control-limit",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="The same of the control process.",
)
@click.option("--relay", default="", metavar="URL", help="Ask a relay (`nodemesh relay`) before the API server.")
@click.option("--relay-ca", default="", metavar="FILE", help="The authority of the relay's certificate, PEM.")
@click.option(
    "--startup-taint",
    is_flag=True,
    help="Take nodemesh.io/agent-not-ready from the node once it is served.",
)
@click.option("--run-dir", default="", metavar="DIR", help="Sockets and lock (default: /run/nodemesh with eBPF).")
@click.option("--replace", is_flag=True, help="Take over from the agent that runs there, without a gap.")
@click.option("--cgroup-root", default="", hidden=True)
@click.option("--bpffs", default="/sys/fs/bpf/nodemesh", hidden=True)
def run(
    config: tuple[str, ...], keep_going: bool, kubernetes: bool, kubeconfig: str, state_dir: str, cluster: str,
    remote: tuple[str, ...], remote_secrets: bool, node: str, expose: tuple[str, ...], client: str, gateway: str,
    gateway_image: str, gateway_listen: tuple[str, ...], admin: str, peers: str, peers_token: str, workers: int,
    ebpf: str, access_log: str, log_format: str, grace: float, worker_limit: float, control_limit: float, relay: str,
    relay_ca: str, startup_taint: bool, run_dir: str, replace: bool, cgroup_root: str, bpffs: str,
) -> None:  # fmt: skip
    """Run the mesh on this node until told to stop (SIGTERM, Ctrl-C)."""
    from ..node import options as asked
    from ..node import supervisor

    kubernetes = kubernetes or bool(kubeconfig)
    _check_combination(
        bool(config), kubernetes, gateway=bool(gateway), gateway_listen=bool(gateway_listen),
        of_kubernetes={
            "--remote": bool(remote), "--remote-secrets": remote_secrets, "--relay": bool(relay),
            "--peers": bool(peers), "--startup-taint": startup_taint,
        },
    )  # fmt: skip
    try:
        options = asked.RunOptions(
            config=config,
            keep_going=keep_going or kubernetes,
            kubernetes=kubernetes,
            kubeconfig=kubeconfig,
            relay=relay,
            relay_ca=relay_ca,
            startup_taint=startup_taint,
            state_dir=state_dir,
            cluster=cluster,
            remotes=tuple(asked.parse_remote(text) for text in remote),
            remote_secrets=remote_secrets,
            node=node,
            expose=tuple(asked.parse_expose(text) for text in expose),
            client=client,
            gateway=asked.parse_labels(gateway),
            gateway_image=gateway_image,
            gateway_listen=tuple(asked.parse_gateway_listen(text) for text in gateway_listen if "=" in text),
            gateway_bind=next((asked.parse_gateway_bind(text) for text in gateway_listen if "=" not in text), ""),
            admin=asked.parse_address(admin, 15000),
            peers=asked.parse_address(peers, PEERS_PORT) if peers else None,
            peers_token=peers_token,
            workers=workers,
            ebpf=asked.Ebpf(ebpf),
            access_log=access_log,
            log_json=log_format == "json",
            cgroup_root=cgroup_root,
            bpffs=bpffs,
            run_dir=run_dir,
            replace=replace,
            grace=grace,
            worker_limit=worker_limit,
            control_limit=control_limit,
        )
        status = supervisor.run(options)
    except asked.StartError as error:
        raise CommandError(str(error)) from None
    sys.exit(status)


def _check_combination(
    config: bool, kubernetes: bool, *, gateway: bool, gateway_listen: bool, of_kubernetes: dict[str, bool]
) -> None:
    """Which options are given, and need others. Raises UsageError."""
    if not config and not kubernetes:
        raise click.UsageError("give --config PATH, a file or folder of Kubernetes YAML, or --kubernetes")
    for option, given in of_kubernetes.items():
        if given and not kubernetes:
            raise click.UsageError(f"{option} is for an agent that follows a cluster; give --kubernetes, too")
    if gateway != gateway_listen:
        raise click.UsageError(
            "--gateway K=V and --gateway-listen PORT=ADDR or ADDR belong together: who serves, and where"
        )
