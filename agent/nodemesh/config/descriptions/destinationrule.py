"""What the fields of DestinationRule mean, in a sentence each: for `kubectl explain`."""

TEXT = """
DestinationRuleSpec
  host: The service that this is for, also short (then of this object's namespace) or with a leading wildcard.
  trafficPolicy: How its endpoints are chosen, connected to and judged.
  subsets: Named parts of its endpoints, told apart by labels.
  exportTo: The namespaces that see this: `.` is its own, `*` all. Without it MeshConfig's default counts.
  workloadSelector: The clients' pods that this is for, by labels; all of its namespace's without it.
TrafficPolicy
  loadBalancer: How an endpoint is chosen.
  connectionPool: How many connections and requests there may be: circuit breakers.
  outlierDetection: When an endpoint that fails is left out for a while.
  tls: Whether and how TLS is spoken to the endpoints.
  portLevelSettings: Other settings for single ports; what they leave out is not taken from here.
  tunnel: Reach the endpoints through a CONNECT proxy.
  proxyProtocol: Tell the endpoint the client's address by the PROXY protocol.
  retryBudget: How many retries there may be at a time, in proportion to requests.
LoadBalancerSettings
  simple: The algorithm. LEAST_REQUEST by default.
  consistentHash: The same client, by one of these, gets the same endpoint.
  localityLbSetting: How regions and zones count.
  zoneAwareLbSetting: Keeps traffic in the client's zone in proportion to its endpoints.
  warmupDurationSecs: How long a new endpoint gets less. Use warmup.
  warmup: A new endpoint gets less at first.
ConsistentHashLB
  httpHeaderName: By this header field.
  httpCookie: By this cookie, which is made where the client has none.
  useSourceIp: By the client's address.
  httpQueryParameterName: By this parameter of the query.
  ringHash: By a ring of points (Ketama).
  maglev: By Maglev's table.
  minimumRingSize: Points of the ring at least. Use ringHash.
HTTPCookie
  name: The cookie's name.
  path: Its path.
  ttl: How long it lives; 0 is the session.
  attributes: Further attributes.
Attribute
  name: The attribute's name.
  value: Its value, if it has one.
RingHash
  minimumRingSize: Points of the ring at least; 1,024 by default.
MagLev
  tableSize: The table's size, a prime; 65,537 by default.
LocalityLoadBalancerSetting
  distribute: Which shares of each locality's traffic go where.
  failover: Which region takes over from which.
  failoverPriority: Labels in which an endpoint should be like the client, the most important first.
  enabled: Whether any of this counts; MeshConfig's word without it.
Distribute
  from: The client's locality, as region/zone/subzone; `*` for any.
  to: Shares in percent by the endpoints' localities, 100 together.
LocalityFailover
  from: The region that fails.
  to: The region that takes over.
ZoneAwareLoadBalancerSetting
  enabled: Whether it counts.
  failover: Which zone takes over from which.
  failoverPriority: Labels in which an endpoint should be like the client.
  minClusterSize: With fewer endpoints all zones are one.
ZoneAwareFailover
  from: The zone that fails.
  to: The zone that takes over.
WarmupConfiguration
  duration: How long it lasts.
  minimumPercent: The share at its beginning, in percent of the full one.
  aggression: How the share grows: 1 in a line, more sooner.
ConnectionPoolSettings
  tcp: Connections, whatever they carry.
  http: Requests of HTTP.
TCPSettings
  maxConnections: Connections to the service at most, of the whole node.
  connectTimeout: How long a connection may take to stand; 10 s by default.
  tcpKeepalive: The kernel's probes on quiet connections.
  maxConnectionDuration: A connection's longest life.
  idleTimeout: How long a TCP connection may carry nothing; 1 h by default, 0s for ever.
TcpKeepalive
  probes: Probes without answer before the connection counts as dead.
  time: How long it is quiet before the first.
  interval: The time between two.
HTTPSettings
  http1MaxPendingRequests: Requests that may wait for a connection.
  http2MaxRequests: Requests in flight at most, HTTP/1.1's too.
  maxRequestsPerConnection: Requests after which a connection is closed; 1 turns keep-alive off.
  maxRetries: Retries in flight at most.
  idleTimeout: How long a connection to an endpoint may be idle; 1 h by default.
  h2UpgradePolicy: Whether endpoints of HTTP/1.1 ports are spoken to in HTTP/2.
  useClientProtocol: Whether endpoints are spoken to in the client's own version.
  maxConcurrentStreams: Streams on one HTTP/2 connection at most.
  http2KeepAlive: Pings on HTTP/2 connections.
ConnectionKeepalive
  interval: The time between two pings.
  timeout: How long an answer may take.
OutlierDetection
  consecutiveErrors: Not in use. Use consecutive5xxErrors or consecutiveGatewayErrors.
  splitExternalLocalOriginErrors: Whether failures to connect are counted apart from answers.
  consecutiveLocalOriginFailures: Failures to connect in a row, if they are counted apart; 5 by default.
  consecutiveGatewayErrors: Answers 502, 503 and 504 in a row; 0 turns it off.
  consecutive5xxErrors: Answers of 500 and above in a row, failures to connect among them; 5 by default.
  interval: The time between two looks; 10 s by default.
  baseEjectionTime: How long an endpoint is out, times how often it was; 30 s by default.
  maxEjectionPercent: The share of endpoints that may be out; 10 by default.
  minHealthPercent: With a smaller share of healthy ones all count again; 0 by default.
  outlierDetectionHttpErrorCodes: The statuses that count as errors.
ClientTLSSettings
  mode: DISABLE, SIMPLE (the server shows its certificate), MUTUAL (both do) or ISTIO_MUTUAL.
  clientCertificate: A file with the client's certificate.
  privateKey: A file with its key.
  caCertificates: A file with the authorities that the server's certificate is checked by.
  credentialName: A Secret with all of these, or a ConfigMap with the authority (configmap://NAMESPACE/NAME).
  subjectAltNames: Names of which the server's certificate must have one.
  sni: The server name that is sent; the host by default.
  insecureSkipVerify: Whether the server's certificate is not checked.
  caCrl: A file with revoked certificates.
PortTrafficPolicy
  port: The service's port.
  loadBalancer: How an endpoint is chosen.
  connectionPool: How many connections and requests there may be.
  outlierDetection: When an endpoint that fails is left out.
  tls: Whether and how TLS is spoken.
TunnelSettings
  protocol: CONNECT or POST.
  targetHost: Where the tunnel leads to.
  targetPort: Its port.
ProxyProtocol
  version: V1 or V2.
RetryBudget
  percent: Retries in percent of requests in flight; 20 by default.
  minRetryConcurrency: Retries that are always allowed; 3 by default.
  budgetInterval: For how long requests count.
Subset
  name: The name by which routes speak of it.
  labels: Labels of its endpoints' pods.
  trafficPolicy: What differs from the rule's own policy.
WorkloadSelector
  matchLabels: Labels that a pod has to have, all of them.
"""
