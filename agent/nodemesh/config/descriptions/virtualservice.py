"""What the fields of VirtualService mean, in a sentence each: for `kubectl explain`."""

TEXT = """
VirtualServiceSpec
  hosts: The hosts that the rules are for: names of services, also short ones, or any others; a leading * is a wildcard.
  gateways: Which gateways' traffic the rules are for, as NAMESPACE/NAME; `mesh`, the default, is the pods' own.
  http: Rules for HTTP, tried in order; the first that matches counts.
  tls: Rules for TLS that is passed through, by its server name.
  tcp: Rules for TCP that is neither HTTP nor TLS.
  exportTo: The namespaces that see this: `.` is its own, `*` all. Without it MeshConfig's default counts.
HTTPRoute
  name: A name for the access log and `explain`.
  match: Any of these conditions makes the rule match; without any it always does.
  route: Where to send the request, by weight.
  redirect: Answer with a redirect instead.
  directResponse: Answer with this status and body instead.
  delegate: Continue with the rules of another VirtualService.
  rewrite: Change path or host before the request is sent on.
  timeout: How long the whole request may take, retries included. None by default.
  retries: When and how often to try again.
  fault: Delays and errors to inject.
  mirror: A second destination that gets a copy of each request; its answers are dropped.
  mirrors: Several such destinations, each with a share.
  mirrorPercent: The share of requests that is copied, as a whole number. Use mirrorPercentage.
  mirrorPercentage: The share of requests that is copied to `mirror`; all by default.
  corsPolicy: What browsers of other origins may do.
  headers: Changes to headers, whichever destination is chosen.
HTTPMatchRequest
  name: A name for the access log, after the rule's.
  uri: The path with its query, as it came.
  scheme: `http` or `https`.
  method: The method, in upper case.
  authority: The Host or :authority.
  headers: Header fields by name in lower case; an empty condition means that the field is there.
  port: The port that was dialled.
  sourceLabels: Labels of the client's pod.
  gateways: Through which of the gateways the request came; `mesh` for pods.
  queryParams: Parameters of the query by name; only `exact`, `prefix` and `regex`.
  ignoreUriCase: Whether the path's case does not matter, for exact and prefix.
  withoutHeaders: Header fields that must not be so.
  sourceNamespace: The client's namespace.
  statPrefix: A name for statistics of this rule.
StringMatch
  exact: The whole text.
  prefix: Its beginning.
  regex: All of it, in RE2's dialect.
HTTPRouteDestination
  destination: The service to send to.
  weight: Its share, in proportion to the others'; a single destination needs none.
  headers: Changes to headers for this destination.
Destination
  host: The service: its name, also short (then of this object's namespace), or a ServiceEntry's host.
  subset: A subset that a DestinationRule for this host defines.
  port: The service's port; may be left out where it has one alone.
PortSelector
  number: The port's number.
Headers
  request: Changes before the request is sent on.
  response: Changes before the answer is returned.
HeaderOperations
  set: Fields that replace what is there.
  add: Fields that are added to what is there.
  remove: Fields that are taken away.
HTTPRedirect
  uri: The path to redirect to; the query is kept.
  authority: The host to redirect to.
  port: The port to redirect to.
  derivePort: How the port follows from the request or its scheme.
  scheme: The scheme to redirect to.
  redirectCode: The status; 301 by default.
  prefixRewrite: What replaces the prefix that matched.
HTTPDirectResponse
  status: The status.
  body: The body.
HTTPBody
  string: The body as text.
  bytes: The body as base64.
Delegate
  name: The VirtualService with further rules; it has no hosts of its own.
  namespace: Its namespace; this object's by default.
HTTPRewrite
  uri: Replaces the path, or the prefix that matched.
  authority: Replaces the Host.
  uriRegexRewrite: Replaces what a regular expression finds in the path.
RegexRewrite
  match: What is looked for, in RE2's dialect.
  rewrite: What replaces it; `\\\\1` stands for the first group.
HTTPRetry
  attempts: How often to try again; 0 turns retries off.
  perTryTimeout: How long each try may take; the route's timeout by default.
  retryOn: For which failures, separated by commas, in Envoy's words, or statuses.
  retryRemoteLocalities: Whether tries may go to other localities.
  retryIgnorePreviousHosts: Whether a try avoids the endpoints that were tried; so by default.
  backoff: The least time between two tries; 25 ms by default.
HTTPFaultInjection
  delay: Hold requests up before they are sent on.
  abort: Answer with an error instead of sending them on.
Delay
  percent: The share of requests, as a whole number. Use percentage.
  fixedDelay: For how long.
  exponentialDelay: Not in use.
  percentage: The share of requests.
Percent
  value: A share in percent, up to 100; fractions are allowed.
Abort
  httpStatus: The HTTP status to answer with.
  grpcStatus: The gRPC status to answer with, by name.
  http2Error: Not in use.
  percentage: The share of requests.
HTTPMirrorPolicy
  destination: The service that gets the copies.
  percentage: The share of requests that is copied; all by default.
CorsPolicy
  allowOrigin: Origins, exactly. Use allowOrigins.
  allowOrigins: Origins that may ask; any that matches is repeated in the answer.
  allowMethods: Methods that they may use.
  allowHeaders: Header fields that they may send.
  exposeHeaders: Header fields that their scripts may see.
  maxAge: For how long browsers may keep the answer to a preflight.
  allowCredentials: Whether they may send cookies and the like.
  unmatchedPreflights: Whether preflights of other origins are sent on to the service or not.
TLSRoute
  match: Any of these conditions makes the rule match.
  route: Where to send the connection, by weight.
TLSMatchAttributes
  sniHosts: Server names (SNI), also with a leading wildcard; within the object's hosts.
  destinationSubnets: Networks that the dialled address lies in.
  port: The port that was dialled.
  sourceLabels: Labels of the client's pod.
  gateways: Through which of the gateways it came; `mesh` for pods.
  sourceNamespace: The client's namespace.
RouteDestination
  destination: The service to send to.
  weight: Its share, in proportion to the others'.
TCPRoute
  match: Any of these conditions makes the rule match; without any it always does.
  route: Where to send the connection, by weight.
L4MatchAttributes
  destinationSubnets: Networks that the dialled address lies in.
  port: The port that was dialled.
  sourceSubnet: Not in use.
  sourceLabels: Labels of the client's pod.
  gateways: Through which of the gateways it came; `mesh` for pods.
  sourceNamespace: The client's namespace.
"""
