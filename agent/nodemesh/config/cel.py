"""The part of CEL that filters of the access log and values of metrics' labels are written in: text to a typed tree.

Grammar and meaning are those of the CEL specification (cel-spec, "Language Definition"); the attributes are Envoy's
(docs: "Attributes"). What is written and what it compares is checked here, before anything is evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from .regex import Pattern, RegexError

# The types of expressions; values of maps are strings.
STRING: Final = "string"
INT: Final = "int"
BOOL: Final = "bool"
LIST: Final = "list"
MAP: Final = "map"

#: Envoy's attributes that a record holds, with their types.
ATTRIBUTES: Final[dict[str, str]] = {
    "request.path": STRING, "request.url_path": STRING, "request.query": STRING, "request.host": STRING,
    "request.method": STRING, "request.headers": MAP, "request.useragent": STRING, "request.referer": STRING,
    "request.id": STRING, "request.protocol": STRING, "request.size": INT,
    "response.code": INT, "response.code_details": STRING, "response.grpc_status": INT, "response.headers": MAP,
    "response.trailers": MAP, "response.size": INT,
    "source.address": STRING, "source.port": INT, "destination.address": STRING, "destination.port": INT,
    "connection.mtls": BOOL, "connection.requested_server_name": STRING, "connection.termination_details": STRING,
    "upstream.address": STRING, "upstream.port": INT, "upstream.local_address": STRING,
    "upstream.transport_failure_reason": STRING, "upstream.request_attempt_count": INT,
    "xds.cluster_name": STRING, "xds.route_name": STRING,
}  # fmt: skip

#: Bytes of an expression, and how deep its parentheses go.
LONGEST: Final = 4096
DEEPEST: Final = 32

#: Comparisons, with the types that have an order.
COMPARISONS: Final = ("==", "!=", "<=", ">=", "<", ">")
ORDERED: Final = (STRING, INT)

#: Methods of strings, all with one string.
METHODS: Final = ("startsWith", "endsWith", "contains", "matches")

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<int>-?\d+)(?![\w.])|(?P<string>[rR]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))|(?P<name>[A-Za-z_]\w*)
    |(?P<sign>&&|\|\||[=!<>]=|[<>!()\[\],.?:+]))""",
    re.VERBOSE,
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "`": "`", "?": "?"}


class CelError(ValueError):
    """The expression is none that is understood here; the message says where, and what would be right."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


class CelNode(NamedTuple):
    """An operation with its type. `name` is an operator, a function, `attribute`, `entry` (of a map) or `literal`;
    `value` an attribute's name, a map entry's key or a literal's value."""

    name: str
    type: str
    value: object = None
    parts: tuple[CelNode, ...] = ()


class _Token(NamedTuple):
    kind: str
    text: str
    offset: int


def parse(text: str) -> CelNode:
    """The tree of an expression. Raises CelError."""
    if len(text) > LONGEST:
        raise CelError(f"an expression has at most {LONGEST} characters")
    return _Parser(text).whole()


def parse_filter(text: str) -> CelNode:
    """The tree of one that is true or false. Raises CelError."""
    node = parse(text)
    if node.type != BOOL:
        raise CelError(f"a filter is true or false, and this is of the type {node.type}; compare it, as with `>= 400`")
    return node


def parse_value(text: str) -> CelNode:
    """The tree of one that may be a label's value. Raises CelError."""
    node = parse(text)
    if node.type in (MAP, LIST):
        raise CelError(f"a label's value is one word or number, and this is a {node.type}")
    return node


def fields_of(node: CelNode) -> dict[str, set[bytes]]:
    """The names of fields that an expression reads, by `request`, `response` and `trailers`."""
    found: dict[str, set[bytes]] = {"request": set(), "response": set(), "trailers": set()}
    rest = [node]
    while rest:
        node = rest.pop()
        if node.name in ("entry", "holds"):
            source = "trailers" if node.parts[0].value == "response.trailers" else str(node.parts[0].value)[:-8]
            found[source].add(str(node.value).lower().encode())
        elif node.name == "attribute" and node.value == "request.referer":
            found["request"].add(b"referer")
        rest.extend(node.parts)
    return found


class _Parser:
    """By recursive descent, one method for each of the grammar's levels."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._scan(text))
        self._position = 0
        self._depth = 0

    def whole(self) -> CelNode:
        node = self._expression()
        if self._next().kind != "end":
            raise self._wrong("an operator, as && or ==")
        return node

    def _scan(self, text: str) -> list[_Token]:
        tokens: list[_Token] = []
        position = 0
        while position < len(text.rstrip()):
            found = _TOKEN.match(text, position)
            if found is None:
                while text[position].isspace():
                    position += 1
                raise CelError(f"`{text[position : position + 12]}` is nothing that is understood here", position)
            kind = found.lastgroup or ""
            tokens.append(_Token(kind, found[kind], found.start(kind)))
            position = found.end()
        return [*tokens, _Token("end", "", len(text))]

    # --- tokens

    def _next(self) -> _Token:
        return self._tokens[self._position]

    def _take(self) -> _Token:
        token = self._tokens[self._position]
        self._position += token.kind != "end"
        return token

    def _took(self, *signs: str) -> str:
        token = self._next()
        if token.kind == "sign" and token.text in signs:
            self._position += 1
            return token.text
        return ""

    def _expect(self, sign: str) -> None:
        if not self._took(sign):
            raise self._wrong(f"`{sign}`")

    def _wrong(self, right: str) -> CelError:
        token = self._next()
        found = f"`{token.text}`" if token.kind != "end" else "the end"
        return CelError(f"{found} stands where {right} is to be", token.offset)

    # --- levels

    def _expression(self) -> CelNode:
        self._depth += 1
        if self._depth > DEEPEST:
            raise CelError(f"an expression nests at most {DEEPEST} deep", self._next().offset)
        offset = self._next().offset
        node = self._chain("||", lambda: self._chain("&&", self._relation))
        if self._took("?"):
            self._need(node, BOOL, offset)
            yes = self._expression()
            self._expect(":")
            no = self._expression()
            if yes.type != no.type:
                raise CelError(f"both values of a choice are of one type, not {yes.type} and {no.type}", offset)
            if yes.type in (MAP, LIST):
                raise CelError(f"a choice is between words, numbers or conditions, and this is a {yes.type}", offset)
            node = CelNode("?", yes.type, None, (node, yes, no))
        self._depth -= 1
        return node

    def _chain(self, sign: str, level: Callable[[], CelNode]) -> CelNode:
        offset = self._next().offset
        parts = [level()]
        while self._took(sign):
            self._need(parts[-1], BOOL, offset)
            offset = self._next().offset
            parts.append(level())
            self._need(parts[-1], BOOL, offset)
        return parts[0] if len(parts) == 1 else CelNode(sign, BOOL, None, tuple(parts))

    def _relation(self) -> CelNode:
        offset = self._next().offset
        left = self._sum()
        if self._next().text == "in" and self._next().kind == "name":
            self._take()
            right = self._sum()
            return self._member(left, right, offset)
        sign = self._took(*COMPARISONS)
        if not sign:
            return left
        right = self._sum()
        if left.type != right.type or left.type not in (*ORDERED, BOOL):
            raise CelError(f"values of the types {left.type} and {right.type} cannot be compared", offset)
        if sign not in ("==", "!=") and left.type not in ORDERED:
            raise CelError(f"there is no order among values of the type {left.type}", offset)
        return CelNode(sign, BOOL, None, (left, right))

    def _member(self, left: CelNode, right: CelNode, offset: int) -> CelNode:
        if right.type == MAP:
            if left.name != "literal" or left.type != STRING:
                raise CelError("a map is asked for a name in quotes, as in 'x-id' in request.headers", offset)
            return CelNode("holds", BOOL, left.value, (right,))
        if right.type != LIST or any(part.type != left.type for part in right.parts):
            raise CelError(f"`in` looks for a {left.type} in a list of such, as in x in ['a', 'b']", offset)
        return CelNode("in", BOOL, None, (left, right))

    def _sum(self) -> CelNode:
        offset = self._next().offset
        parts = [self._unary()]
        while self._took("+"):
            parts.append(self._unary())
        if len(parts) == 1:
            return parts[0]
        if any(part.type != STRING for part in parts):
            raise CelError("`+` joins strings; string(x) makes one", offset)
        return CelNode("+", STRING, None, tuple(parts))

    def _unary(self) -> CelNode:
        negations = 0
        while self._took("!"):
            negations += 1
        offset = self._next().offset
        node = self._postfix()
        if negations:
            self._need(node, BOOL, offset)
        return CelNode("!", BOOL, None, (node,)) if negations % 2 else node

    def _postfix(self) -> CelNode:
        offset = self._next().offset
        node = self._primary()
        while True:
            if self._took("["):
                key = self._take()
                if node.type != MAP or key.kind != "string":
                    raise CelError("only headers and trailers are looked into, as in request.headers['x-id']", offset)
                self._expect("]")
                node = CelNode("entry", STRING, self._string(key), (node,))
            elif self._took("."):
                node = self._method(node, self._take())
            else:
                return node

    def _method(self, node: CelNode, token: _Token) -> CelNode:
        if token.text not in METHODS:
            right = f"there are {', '.join(METHODS)}"
            raise CelError(f"`{token.text}` is no method that is understood here; {right}", token.offset)
        self._need(node, STRING, token.offset)
        self._expect("(")
        offset = self._next().offset
        argument = self._expression()
        self._need(argument, STRING, offset)
        self._expect(")")
        if token.text == "matches":
            if argument.name != "literal":
                raise CelError("the expression of matches() stands in quotes", offset)
            try:
                Pattern(str(argument.value))
            except RegexError as error:
                raise CelError(str(error), offset) from None
        return CelNode(token.text, BOOL, None, (node, argument))

    def _primary(self) -> CelNode:
        token = self._take()
        if token.kind == "int":
            return CelNode("literal", INT, int(token.text))
        if token.kind == "string":
            return CelNode("literal", STRING, self._string(token))
        if token.text == "(":
            node = self._expression()
            self._expect(")")
            return node
        if token.text == "[":
            return self._list()
        if token.kind == "name":
            return self._name(token)
        self._position -= token.kind != "end"
        raise self._wrong("an attribute, as response.code, or a value")

    def _list(self) -> CelNode:
        parts: list[CelNode] = []
        while not self._took("]"):
            if parts:
                self._expect(",")
            offset = self._next().offset
            parts.append(self._expression())
            if parts[-1].type in (MAP, LIST):
                raise CelError(f"a list is of words, numbers or conditions, and this is a {parts[-1].type}", offset)
        return CelNode("list", LIST, None, tuple(parts))

    def _name(self, token: _Token) -> CelNode:
        if token.text in ("true", "false"):
            return CelNode("literal", BOOL, token.text == "true")
        if token.text in ("string", "int", "has", "size") and self._took("("):
            return self._call(token)
        name = token.text
        while self._next().text == "." and self._tokens[self._position + 1].kind == "name" and name not in ATTRIBUTES:
            self._take()
            name += f".{self._take().text}"
        if name not in ATTRIBUTES:
            first = name.partition(".")[0]
            near = [known for known in ATTRIBUTES if known.startswith(f"{first}.")] or ["response.code", "request.path"]
            raise CelError(f"there is no attribute `{name}` here; there are {', '.join(near)}", token.offset)
        return CelNode("attribute", ATTRIBUTES[name], name)

    def _call(self, token: _Token) -> CelNode:
        node = self._expression()
        self._expect(")")
        if token.text == "string" and node.type in (STRING, INT, BOOL):
            return CelNode("string", STRING, None, (node,))
        if token.text == "int" and node.type in (STRING, INT):
            return CelNode("int", INT, None, (node,))
        if token.text == "size" and node.type == STRING:
            return CelNode("size", INT, None, (node,))
        if token.text == "has" and node.name in ("attribute", "entry") and node.type != MAP:
            return CelNode("has", BOOL, None, (node,))
        raise CelError(f"{token.text}() does not take a {node.type}", token.offset)

    def _need(self, node: CelNode, kind: str, offset: int) -> None:
        if node.type != kind:
            raise CelError(f"this is of the type {node.type}, where a {kind} is to be", offset)

    def _string(self, token: _Token) -> str:
        text = token.text
        raw = text[0] in "rR"
        text = text[2:-1] if raw else text[1:-1]
        return text if raw else re.sub(r"\\(.)", lambda found: self._unescaped(found[1], token), text)

    def _unescaped(self, char: str, token: _Token) -> str:
        if char not in _ESCAPES:
            raise CelError(
                f"`\\{char}` is no escape that is understood here; r'...' takes a text as it is", token.offset
            )
        return _ESCAPES[char]
