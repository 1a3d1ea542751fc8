"""What the fields of Telemetry mean, and of the providers in MeshConfig that it names: for `kubectl explain`."""

TEXT = """
TelemetrySpec
  selector: The workloads by their labels; without it all of the namespace, and of the root namespace the whole mesh.
  targetRef: The Gateway of the Kubernetes Gateway API that the settings are for.
  targetRefs: The Gateways that the settings are for.
  tracing: How requests are traced; what is left out comes from the wider scope.
  metrics: Overrides of Istio's metrics, on top of those of the wider scopes.
  accessLogging: Which requests are logged, and where; the nearest scope has the last word about a provider.
PolicyTargetReference
  group: The API group of the kind.
  kind: Gateway.
  name: The object's name.
  namespace: The object's namespace, which is this one.
Tracing
  match: Whose traffic this is for.
  providers: The collector, one of extensionProviders in MeshConfig.
  randomSamplingPercentage: The share of requests, of those that come without a decision, that is traced.
  disableSpanReporting: Whether spans are not exported, though the fields of traces go on.
  customTags: Further tags of each span, by their names.
  useRequestIdForTraceSampling: Whether x-request-id carries the decision.
  enableIstioTags: Whether spans have the tags istio.*; they have, if nothing is said.
  disableContextPropagation: Whether the fields of traces are not written.
TracingSelector
  mode: CLIENT, SERVER or CLIENT_AND_SERVER.
CustomTag
  literal: A fixed value.
  environment: The value of a variable of the agent's environment.
  header: The value of a field of the request.
  formatter: A text of command operators.
Literal
  value: The value.
Environment
  name: The variable, one of allowedEnvironment in MeshConfig.
  defaultValue: The value where there is no such variable.
RequestHeader
  name: The field's name.
  defaultValue: The value where the request has no such field.
Formatter
  value: The text, such as %PROTOCOL%.
ProviderRef
  name: Its name in extensionProviders, or a built-in one's.
TelemetryMetrics
  providers: Who gets the metrics: prometheus, the agent's own page.
  overrides: What differs from Istio's standard metrics, applied in order.
  reportingInterval: How often connections that go on are counted.
MetricsOverrides
  match: Which metrics, and whose; all of both ends, if nothing is said.
  disabled: Whether the metrics are left out.
  tagOverrides: What becomes of labels, by their names.
MetricSelector
  metric: One of Istio's metrics.
  customMetric: The name of another one.
  mode: What the client's side reports, the server's, or both.
TagOverride
  operation: UPSERT sets the label, REMOVE leaves it out.
  value: An expression of CEL that gives the label's value, such as request.host.
AccessLogging
  match: Whose traffic this is for.
  providers: Where it is logged: envoy, or one of extensionProviders in MeshConfig.
  disabled: Whether nothing is logged there.
  filter: What is logged there; everything, if nothing is said.
LogSelector
  mode: CLIENT, SERVER or CLIENT_AND_SERVER.
LogFilter
  expression: What is to be true of a request, in CEL, such as response.code >= 400.
ExtensionProvider
  name: The name by which Telemetry refers to it.
  envoyFileAccessLog: A log in a file.
  opentelemetry: A collector of traces.
  prometheus: The agent's own page of metrics.
EnvoyFileAccessLog
  path: An absolute path, or /dev/stdout.
  logFormat: How a line looks; Istio's default, if nothing is said.
LogFormat
  text: A text of command operators.
  labels: The members of a JSON object, each a text of command operators.
OpenTelemetryTracing
  service: The collector's host.
  port: Its port for OTLP over HTTP.
  maxTagLength: The characters that a tag's value has at most; 256, if nothing is said.
  http: How it is spoken to.
HttpService
  path: The path of requests; /v1/traces, if nothing is said.
  timeout: How long one request may take; 10s, if nothing is said.
  headers: Further fields of each request.
HttpHeader
  name: The field's name.
  value: Its value.
  envName: The variable of the agent's environment that has its value.
DefaultProviders
  accessLogging: Providers of access logs.
  metrics: Providers of metrics.
  tracing: The provider of traces.
TracingConfig
  sampling: The percentage of requests that are traced; 1, if nothing is said.
ProxyConfig
  tracing: How requests are traced.
MeshConfigSpec
  extensionProviders: Files of access logs, and collectors of traces, for Telemetry.
  defaultProviders: The providers of Telemetry that names none.
  enableTracing: Whether requests are traced without a Telemetry that says so.
"""
