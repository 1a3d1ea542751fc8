"""What the fields of all other kinds mean, in a sentence each: for `kubectl explain`."""

TEXT = """
GatewaySpec
  servers: The ports that are opened, and for which hosts.
  selector: Labels of the gateways' pods that do so.
Server
  port: The port, and what is spoken there.
  bind: The address to listen at; all by default.
  hosts: Hosts that are served, as NAMESPACE/HOST; the namespace is that of the VirtualServices which may be bound.
  tls: How TLS is ended, or passed through.
  defaultEndpoint: Not in use.
  name: A name for this server; unique among all.
Port
  number: The port's number.
  protocol: HTTP, HTTPS, HTTP2, GRPC, TLS, TCP or MONGO.
  name: Its name.
  targetPort: Not in use.
ServerTLSSettings
  httpsRedirect: Whether plain requests are answered with a redirect to https.
  mode: PASSTHROUGH, SIMPLE, MUTUAL, OPTIONAL_MUTUAL, AUTO_PASSTHROUGH or ISTIO_MUTUAL.
  serverCertificate: A file with the certificate.
  privateKey: A file with its key.
  caCertificates: A file with the authorities that clients' certificates are checked by.
  caCrl: A file with revoked certificates.
  credentialName: The Secret with the certificate, in the gateway's namespace.
  credentialNames: Two Secrets, for certificates of an RSA and an EC key.
  caCertCredentialName: The Secret with the clients' authorities.
  tlsCertificates: Two sets of files, for an RSA and an EC key.
  subjectAltNames: Names of which a client's certificate must have one.
  verifyCertificateSpki: Hashes of keys that clients may have.
  verifyCertificateHash: Hashes of certificates that clients may have.
  minProtocolVersion: The oldest TLS; 1.2 by default.
  maxProtocolVersion: The newest TLS.
  cipherSuites: Ciphers of TLS 1.2 and older, in OpenSSL's names.
  insecureSkipVerify: Whether clients' certificates are not checked.
TLSCertificate
  serverCertificate: A file with the certificate.
  privateKey: A file with its key.
  caCertificates: A file with the clients' authorities.
ServiceEntrySpec
  hosts: The names of the service; with a leading wildcard where it is not resolved.
  addresses: Its virtual addresses, or networks where it is not resolved.
  ports: Its ports.
  location: MESH_INTERNAL or MESH_EXTERNAL.
  resolution: NONE (where the client dials), STATIC (the endpoints given), DNS or DNS_ROUND_ROBIN (names).
  endpoints: Its endpoints.
  workloadSelector: Pods and WorkloadEntries that are its endpoints, by labels.
  exportTo: The namespaces that see this: `.` is its own, `*` all.
  subjectAltNames: Names of which the servers' certificates must have one.
ServicePort
  number: The port's number.
  protocol: HTTP, HTTPS, HTTP2, GRPC, TLS, TCP or MONGO.
  name: Its name.
  targetPort: The endpoints' port; the same by default.
WorkloadEntrySpec
  address: An IP address, a name where the service is resolved by DNS, or unix:///PATH.
  ports: The endpoint's ports by the service's port names.
  labels: Its labels, for subsets and selectors.
  network: The network that it is on.
  locality: Its locality, as region/zone/subzone.
  weight: Its share beside the other endpoints.
  serviceAccount: Its identity.
NetworkingWorkloadSelector
  labels: Labels that a pod has to have, all of them.
WorkloadGroupSpec
  metadata: Labels and annotations of the WorkloadEntries made of this.
  template: What they have in common.
  probe: How they are found to be healthy.
GroupMeta
  labels: Labels.
  annotations: Annotations.
ReadinessProbe
  initialDelaySeconds: Seconds before the first look.
  timeoutSeconds: Seconds that an answer may take.
  periodSeconds: Seconds between two looks.
  successThreshold: Successes in a row after which it is healthy.
  failureThreshold: Failures in a row after which it is not.
  httpGet: Ask by HTTP.
  tcpSocket: Connect.
  exec: Run a command.
  grpc: Ask by gRPC's health protocol.
HTTPHealthCheckConfig
  path: The path to ask for.
  port: The port to ask at.
  host: The host to ask.
  scheme: HTTP or HTTPS.
  httpHeaders: Header fields to send.
HTTPHeader
  name: The field's name.
  value: Its value.
TCPHealthCheckConfig
  host: The host to connect to.
  port: The port to connect to.
ExecHealthCheckConfig
  command: The command with its arguments; it succeeds with exit code 0.
GrpcHealthCheckConfig
  port: The port to ask at.
  service: The service to ask for.
SidecarSpec
  workloadSelector: The pods that this is for, by labels; all of its namespace without it.
  ingress: Incoming traffic; not intercepted here.
  egress: What the pods see of the mesh.
  inboundConnectionPool: Limits of incoming traffic; not intercepted here.
  outboundTrafficPolicy: What becomes of connections to addresses that nobody has.
IstioIngressListener
  port: The port.
  bind: The address.
  captureMode: How traffic comes here.
  defaultEndpoint: Where it is sent to.
  tls: How TLS is ended.
  connectionPool: Its limits.
SidecarPort
  number: The port's number.
  protocol: What is spoken there.
  name: Its name.
  targetPort: Not in use.
IstioEgressListener
  port: The port that this is for; all others by default.
  bind: The address that is listened at.
  captureMode: How traffic comes here.
  hosts: What is seen, as NAMESPACE/HOST; `.` is the own namespace, `~` none, `*` all.
OutboundTrafficPolicy
  mode: REGISTRY_ONLY or ALLOW_ANY.
  egressProxy: Where such connections are sent to.
MeshConfigSpec
  rootNamespace: The namespace whose rules count for all; istio-system by default.
  clusterDomain: The domain of the cluster's services; cluster.local by default.
  outboundTrafficPolicy: What becomes of connections to addresses that nobody has.
  defaultHttpRetryPolicy: Retries of routes that say nothing of them.
  defaultConfig: What Istio has for its proxies; the part that concerns gateways.
  connectTimeout: How long connections to endpoints may take to stand; 10 s by default.
  defaultTrafficPolicy: The connectionPool and outlierDetection of destinations whose DestinationRule sets none.
  h2UpgradePolicy: Whether endpoints of HTTP/1.1 ports are spoken to in HTTP/2.
  localityLbSetting: How regions and zones count, where a DestinationRule says nothing.
  accessLogFile: Where requests are logged: a path, or /dev/stdout.
  accessLogFormat: The form of its lines, in Envoy's operators.
  accessLogEncoding: TEXT or JSON.
  discoverySelectors: The namespaces that the mesh knows, by labels; all without it.
  defaultServiceExportTo: The namespaces that see Services which say nothing of it.
  defaultVirtualServiceExportTo: The same for VirtualServices.
  defaultDestinationRuleExportTo: The same for DestinationRules.
  networks: Networks of several clusters, by name, and their gateways.
  serviceSettings: What holds for some services.
  l7: Whether connections go through the proxy: auto (where rules need it), always or never.
  failurePolicy: Whether they go direct (open) or are refused (closed) while no proxy serves.
  sockmap: Whether pods that ask for it exchange bytes with the proxy without TCP: off, auto or on, in quotes.
  dnsCapture: Whether the mesh answers pods' DNS queries for its own names.
  http10: Whether HTTP/1.0 is accepted.
  enableStatus: Whether the status of Istio's objects says if they are in force.
  enrolment: Which pods are in: labelled (by nodemesh.io/mesh) or all.
  hostOwnership: Whether a rule for another namespace's host counts in its own namespace alone: off or namespace.
  allowedFolders: Folders of the agent's file system whose files rules may name.
  allowedEnvironment: Variables of the agent's environment that rules may show.
  adminHosts: Names by which the admin API may be asked.
  adminClients: Networks whose clients may read all of the admin API, as loopback may.
  limits: What one pod may take of the proxy.
  metrics: Which of Istio's metrics there are.
  rollout: What `nodemesh.io/rollout: enabled` on an object means.
RolloutPlan
  clients: Percent of all client pods that get a change first.
  nodes: Labels of nodes whose pods get it first.
  hold: How long they have it before all do; 10 min by default.
  maxErrors: Percent of their requests that may fail; beyond, it is taken back. 5 by default.
  minRequests: How many requests there must be to judge; 20 by default.
MeshOutboundTrafficPolicy
  mode: ALLOW_ANY, the default, REGISTRY_ONLY, which refuses, or ALLOW_ANY_DYNAMIC_DNS, where HTTP goes by its Host.
  tls: TLS for plain HTTP to addresses that nobody has; with ALLOW_ANY_DYNAMIC_DNS.
OutboundTLS
  mode: DISABLE, the default, or SIMPLE.
  sni: The server's name; the request's Host by default.
  subjectAltNames: One of these is to be in its certificate.
  insecureSkipVerify: Whether its certificate is believed unseen.
ProxyConfig
  gatewayTopology: What stands in front of gateways.
Topology
  numTrustedProxies: Proxies in front whose X-Forwarded-For is believed.
  forwardClientCertDetails: What becomes of X-Forwarded-Client-Cert.
  proxyProtocol: That gateways' clients come with the PROXY protocol.
LabelSelector
  matchLabels: Labels with their values, all of them.
  matchExpressions: Conditions on labels, all of them.
LabelSelectorRequirement
  key: The label's name.
  operator: In, NotIn, Exists or DoesNotExist.
  values: The values for In and NotIn.
MeshNetwork
  endpoints: Which endpoints are on it.
  gateways: By which gateways it is reached from others.
NetworkEndpoints
  fromCidr: Those with addresses of this network.
  fromRegistry: Those of this cluster.
NetworkGateway
  address: The gateway's address or name.
  port: Its port.
ServiceSettings
  settings: What holds for them.
  hosts: The services, also with a leading wildcard.
ClusterLocal
  clusterLocal: Whether endpoints of other clusters are left out.
PodLimits
  connections: Connections of one pod.
  requests: Requests of one pod in flight.
  bufferedBytes: Bytes of one pod that wait.
  nodeBufferedBytes: Bytes of all pods of a node that wait.
Metrics
  reporters: For which sides Istio's metrics are told: source, destination.
  sizeHistograms: Whether sizes have histograms.
  expiry: How long a series stays in which nothing happens.
"""
