// The picture that is drawn: of a small mesh all, of a big one namespaces as boxes with what fails pulled out.

import { FAILURE } from "./format.js";

/** So many services are drawn with their versions, and so many one by one; beyond, namespaces are folded. */
export const DETAILED = 12;
export const SINGLE = 60;

/** Labels that a bigger picture shows: of the busiest edges, beside those that fail. */
const LABELS = 15;

function merged(id, source, target, parts) {
  const sum = (name) => parts.reduce((total, part) => total + part[name], 0);
  const requests = sum("requests");
  const worst = parts.reduce((one, other) => (other.failing > one.failing ? other : one));
  return {
    ...parts[0],
    id,
    source,
    target,
    requests,
    errors: sum("errors"),
    rps: sum("rps"),
    failing: requests ? sum("errors") / requests : 0,
    p99_ms: Math.max(...parts.map((part) => part.p99_ms ?? 0)) || null,
    parts,
    worst,
    bad: parts.filter((part) => part.failing >= FAILURE).length,
  };
}

/** Requests by version of each service, over all who call it. */
function versionsOf(edges) {
  const found = new Map();
  for (const edge of edges) {
    const rows = found.get(edge.target) ?? new Map();
    found.set(edge.target, rows);
    for (const part of edge.versions) {
      const key = part.version === "unknown" ? part.workload : part.version;
      const row = rows.get(key) ?? { version: key, requests: 0, errors: 0, wished: part.wished, mirror: part.mirror };
      row.requests += part.requests;
      row.errors += part.errors;
      rows.set(key, row);
    }
  }
  const sorted = new Map();
  for (const [id, rows] of found) {
    const all = [...rows.values()];
    const total = all.reduce((sum, row) => sum + (row.mirror ? 0 : row.requests), 0);
    all.forEach((row) => (row.share = total ? row.requests / total : 0));
    sorted.set(id, all.sort((one, other) => (one.version < other.version ? -1 : 1)));
  }
  return sorted;
}

export function picture(frame, view) {
  const wanted = view.search.trim().toLowerCase();
  const named = (node) => !wanted || `${node.namespace}/${node.name}`.toLowerCase().includes(wanted);
  const byId = new Map(frame.nodes.map((node) => [node.id, node]));
  let edges = frame.edges;
  if (view.failing) edges = edges.filter((edge) => edge.errors > 0);
  if (wanted) edges = edges.filter((edge) => named(byId.get(edge.source)) || named(byId.get(edge.target)));
  const touched = new Set(edges.flatMap((edge) => [edge.source, edge.target]));
  const filtered = view.failing || wanted;
  let nodes = frame.nodes.filter((node) => touched.has(node.id) || (!filtered && view.idle));
  const versions = versionsOf(edges);
  const groups = (nodes.length > SINGLE && !wanted) || view.open ? folded(nodes, edges, view.open) : null;
  if (groups) ({ nodes, edges } = groups);
  const detailed = nodes.length <= 2 * DETAILED;
  for (const node of nodes) node.rows = detailed ? (versions.get(node.id) ?? []) : [];
  const loud = [...edges].sort((one, other) => other.rps - one.rps).slice(0, LABELS);
  const failing = edges.filter((edge) => edge.failing >= FAILURE);
  let labelled = new Set([...loud, ...failing]);
  if (groups && !view.open) labelled = new Set(failing);
  else if (detailed) labelled = new Set(edges);
  edges = [...edges].sort((one, other) => one.failing - other.failing); // what fails lies above
  return { nodes, edges, labelled, detailed, folded: Boolean(groups), open: view.open };
}

/** Namespaces as one node each, but for the open one, and for services on which much fails. */
function folded(nodes, edges, open) {
  const failing = new Set(edges.filter((edge) => edge.failing >= FAILURE).map((edge) => edge.target));
  const home = new Map();
  const boxes = new Map();
  for (const node of nodes) {
    const stays = node.namespace === open || (failing.has(node.id) && failing.size <= SINGLE / 2) || node.kind === "external";
    const id = stays ? node.id : `namespace/${node.namespace}`;
    home.set(node.id, id);
    const box = boxes.get(id) ?? (stays ? node : { id, kind: "namespace", name: node.namespace, namespace: "", members: 0 });
    if (!stays) box.members += 1;
    boxes.set(id, box);
  }
  const grouped = new Map();
  for (const edge of edges) {
    const source = home.get(edge.source);
    const target = home.get(edge.target);
    if (source === target && source.startsWith("namespace/")) {
      const box = boxes.get(source);
      box.inner = [...(box.inner ?? []), edge];
      continue;
    }
    const id = `${source}>${target}`;
    grouped.set(id, [...(grouped.get(id) ?? []), edge]);
  }
  const found = [...grouped].map(([id, parts]) =>
    parts.length > 1 || id !== `${parts[0].source}>${parts[0].target}`
      ? merged(id, id.split(">")[0], id.split(">")[1], parts)
      : parts[0],
  );
  return { nodes: [...boxes.values()], edges: found };
}

/** Edges for a list, worst first. */
export function worstFirst(edges) {
  return [...edges].sort((one, other) => other.failing - one.failing || other.errors - one.errors || other.rps - one.rps);
}
