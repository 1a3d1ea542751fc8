"""What a rule's credentialName names: a Secret, or a ConfigMap that has an authority alone (Istio 1.26 and later)."""

from __future__ import annotations

from typing import Final

#: Istio's scheme for a ConfigMap, `configmap://namespace/name`; all its other schemes are for Secrets.
CONFIG_MAP: Final = "configmap://"


def credential_key(name: str, namespace: str) -> str:
    """`namespace/name` of the Secret, in `namespace` where the name has none; a ConfigMap's is that with the scheme."""
    if name.startswith(CONFIG_MAP):
        return name
    bare = name.partition("://")[2] or name
    return bare if "/" in bare else f"{namespace}/{bare}"


def kind_of(key: str) -> str:
    return "ConfigMap" if key.startswith(CONFIG_MAP) else "Secret"


def place_of(key: str) -> tuple[str, str]:
    """Namespace and name."""
    namespace, _, name = key.removeprefix(CONFIG_MAP).partition("/")
    return namespace, name


def described(key: str) -> str:
    """For people: `Secret shop/client`."""
    return f"{kind_of(key)} {key.removeprefix(CONFIG_MAP)}"


def config_map_fault(name: str) -> str:
    """Why a name with the ConfigMaps' scheme names none; empty where it does."""
    namespace, name = place_of(name)
    if namespace and name and "/" not in name:
        return ""
    return f"a ConfigMap is named with its namespace: {CONFIG_MAP}NAMESPACE/NAME"
